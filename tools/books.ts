import type { Client } from 'pg';
import { z } from 'zod';
import { DEFAULT_TERMS, toTermsRow } from '../shared/contracts/inventory';

/** What an audit found. */
export interface Books {
  /** Sentences, each with the ids that it is about; none when all is in order. */
  differences: string[];
  pools: number;
  allocations: number;
  /** Units that are allocated, of those that there are. */
  allocated: number;
  capacity: number;
}

const booksSchema = z.object({
  differences: z.array(z.string()),
  pools: z.coerce.number(),
  allocations: z.coerce.number(),
  allocated: z.coerce.number(),
  capacity: z.coerce.number(),
});

/** What a row lacks that was written before there were terms; the names are those of pool and inventory alike. */
const { total: _total, ...TERMS } = toTermsRow({ ...DEFAULT_TERMS, total: 0 });

/**
 * Every number in the books that follows from others, told by the rows themselves. $1: the terms with their defaults.
 * $2: seconds that a change of a pool may be under way. $3: what inventories did not always know. One statement, so that all of it is of one moment.
 */
const AUDIT = `
WITH held AS (SELECT resource_pool_id AS pool_id, count(*) AS count, sum(allocated_capacity) AS units FROM allocations GROUP BY 1),
     inventory AS (SELECT * FROM inventories WHERE state <> 'closed'),
     -- a change that is under way is not settled yet: pool and inventory may differ for as long as it takes
     pool AS (SELECT *, pending IS NOT NULL AND now() - pending_since::timestamptz <= make_interval(secs => $2) AS changing
              FROM resource_pools),
     line AS (SELECT pool_id, one->>'id' AS id, (one->>'expires_at')::timestamptz AS expires_at
              FROM inventory, jsonb_array_elements(inventory.row->'waiting') AS one),
     difference AS (
  SELECT format('pool %s: its inventory says %s allocated, its %s allocations hold %s',
                pool_id, allocated, coalesce(count, 0), coalesce(units, 0)) AS sentence
    FROM inventory LEFT JOIN held USING (pool_id) WHERE allocated <> coalesce(units, 0)
  UNION ALL SELECT format('allocation %s: its pool %s has no open inventory', a.id, a.resource_pool_id)
    FROM allocations a WHERE NOT EXISTS (SELECT FROM inventory i WHERE i.pool_id = a.resource_pool_id)
  UNION ALL SELECT format('request %s: it waits in the line of pool %s, and its own row says %s', id, pool_id, coalesce(r.status, 'nothing'))
    FROM line LEFT JOIN allocation_requests r USING (id) WHERE r.status IS DISTINCT FROM 'waiting'
  UNION ALL SELECT format('request %s: it waits, and is not in the line of its pool %s', id, resource_pool_id)
    FROM allocation_requests r WHERE status = 'waiting' AND NOT EXISTS (SELECT FROM line WHERE line.id = r.id)
  -- by the key: there is no index on the id
  UNION ALL SELECT format('request %s: it waits in pool %s though it was allocated', id, pool_id)
    FROM line WHERE EXISTS (SELECT FROM state WHERE key = 'allocation||allocation:' || id)
  UNION ALL SELECT format('request %s: it waits in pool %s since its time was over at %s', id, pool_id, expires_at)
    FROM line WHERE expires_at < now() - interval '10 seconds'
  UNION ALL SELECT format('pool %s: oversold, %s allocated of %s', pool_id, allocated, capacity)
    FROM inventory WHERE allocated > capacity AND NOT over_allowed
  UNION ALL SELECT format('inventory %s: there is no such pool', pool_id)
    FROM inventory WHERE NOT EXISTS (SELECT FROM pool WHERE id = pool_id)
  UNION ALL SELECT format('pool %s: it has no open inventory', id)
    FROM pool WHERE NOT changing AND NOT EXISTS (SELECT FROM inventory WHERE pool_id = id)
  UNION ALL SELECT format('pool %s: a change (%s) is pending since %s', id, pending, pending_since)
    FROM pool WHERE pending IS NOT NULL AND NOT changing
  UNION ALL SELECT format('pool %s: %s is %s in the catalogue and %s in its inventory', id, name, said, kept)
    FROM (SELECT id, term.name, coalesce(pool.row->term.name, term.usual) AS said, coalesce(inventory.row->term.name, CASE WHEN term.name = ANY ($3) THEN pool.row->term.name ELSE term.usual END) AS kept
            FROM pool JOIN inventory ON pool_id = id CROSS JOIN jsonb_each($1::jsonb) AS term(name, usual) WHERE pending IS NULL
          UNION ALL SELECT id, 'total_capacity', pool.row->'total_capacity', inventory.row->'total'
            FROM pool JOIN inventory ON pool_id = id WHERE pending IS NULL) AS terms WHERE said <> kept)
SELECT (SELECT coalesce(json_agg(sentence ORDER BY sentence), '[]') FROM difference) AS differences,
       (SELECT count(*) FROM inventory) AS pools, (SELECT count(*) FROM allocations) AS allocations,
       (SELECT coalesce(sum(allocated), 0) FROM inventory) AS allocated, (SELECT coalesce(sum(capacity), 0) FROM inventory) AS capacity`;

/**
 * Compares every inventory with the sum of its allocations and with its pool.
 * @param pendingSeconds how long a change of a pool may be under way before it is a difference
 */
export async function readBooks(client: Client, pendingSeconds: number): Promise<Books> {
  const { rows } = await client.query<Record<string, unknown>>(AUDIT, [
    JSON.stringify(TERMS),
    pendingSeconds,
    ['resource_type', 'location', 'labels'],
  ]);
  return booksSchema.parse(rows[0]);
}
