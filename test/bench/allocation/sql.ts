import { randomUUID } from 'node:crypto';
import { Client } from 'pg';

/** The lists of the service, by its own view and index. */
const LIST = `SELECT document FROM allocation_places WHERE place > $1 AND place < $2 ORDER BY place LIMIT 101`;

/** Tables for the other side of the comparison, with as many units in each pool as nobody can use up. */
export async function createTables(databaseUrl: string, pools: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`
    CREATE SCHEMA bench;
    CREATE TABLE bench.inventory (pool_id uuid PRIMARY KEY, total bigint NOT NULL, allocated bigint NOT NULL);
    CREATE TABLE bench.allocation (id uuid PRIMARY KEY, pool_id uuid NOT NULL, service_id uuid NOT NULL, capacity bigint NOT NULL,
                                   created_at timestamptz NOT NULL DEFAULT now());`);
  await client.query('INSERT INTO bench.inventory SELECT pool_id, 1000000, 0 FROM unnest($1::uuid[]) AS pool_id', [
    pools,
  ]);
  // what every database has that has run for a minute; without statistics both sides are planned badly
  await client.query('ANALYZE');
  await client.end();
}

/**
 * One client that does it row by row: a transaction that takes, if there is something left under the lock of the pool's row,
 * and inserts; one that gives back and deletes. Every statement is prepared once a connection.
 */
export async function connectSql(databaseUrl: string) {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const run = (name: string, text: string, values: unknown[] = []) => client.query({ name, text, values });
  const change = (poolId: string, by: number) =>
    run(
      'change',
      `UPDATE bench.inventory SET allocated = allocated + $2 WHERE pool_id = $1 AND total - allocated >= $2`,
      [poolId, by],
    );

  return {
    grant: async (poolId: string): Promise<string> => {
      const id = randomUUID();
      await run('begin', 'BEGIN');
      if ((await change(poolId, 1)).rowCount !== 1) throw new Error('the pool is full');
      const row = [id, poolId, randomUUID()];
      await run(
        'insert',
        'INSERT INTO bench.allocation (id, pool_id, service_id, capacity) VALUES ($1, $2, $3, 1)',
        row,
      );
      await run('commit', 'COMMIT');
      return id;
    },
    release: async (poolId: string, id: string): Promise<void> => {
      await run('begin', 'BEGIN');
      await change(poolId, -1);
      await run('delete', 'DELETE FROM bench.allocation WHERE id = $1', [id]);
      await run('commit', 'COMMIT');
    },
    list: async (poolId: string): Promise<number> =>
      (await run('list', LIST, [`held/${poolId}/`, `held/${poolId}/z`])).rows.length,
  };
}
