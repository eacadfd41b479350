import type { Client } from 'pg';
import { toAllocationRow } from '../../../services/allocation/adapters/rows';

const ID = '00000000-0000-4000-8000-000000000000';

/**
 * Live allocations in a pool, as the service would have written them, without their events; the inventory says so too.
 * Straight into Dapr's table: a million over HTTP would take a quarter of an hour.
 */
export async function loadHeld(database: Client, poolId: string, count: number): Promise<void> {
  const time = '1970-01-01T00:00:00.000Z';
  const row = toAllocationRow({
    id: ID,
    poolId,
    serviceId: '00000000-0000-4000-8000-000000000003',
    capacity: 1,
    createdAt: time,
    createdBy: '00000000-0000-4000-8000-000000000003',
    taskId: null,
    groupId: null,
    lease: null,
    updatedAt: time,
  });
  const made = `to_char(timestamp '2026-01-01' + n * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS".000Z"')`;
  await database.query('BEGIN');
  await database.query(
    `INSERT INTO state (key, value)
     SELECT 'allocation||allocation:' || id, convert_to(replace(replace($1, $2, id), $3, ${made}), 'UTF8')
     FROM (SELECT n, gen_random_uuid()::text AS id FROM generate_series(1, ${count}) AS n) AS made`,
    [JSON.stringify(row), ID, time],
  );
  await database.query(
    `UPDATE state SET etag = gen_random_uuid(), updated_at = now(),
            value = convert_to(jsonb_set(state_json(value), '{allocated}', to_jsonb((state_json(value)->>'allocated')::bigint + ${count}))::text, 'UTF8')
     WHERE key = $1`,
    [`allocation||inventory:${poolId}`],
  );
  await database.query('COMMIT');
  await database.query('VACUUM ANALYZE state');
  await database.query('CHECKPOINT');
}
