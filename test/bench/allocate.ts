import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import type { DevInfo } from '../../tools/dev-info';
import { send } from './http';
import { perSecond, rate, shown } from './measure';

const CLIENTS = [1, 8, 32];
const TOTAL = 1_000_000;

/** Pairs of allocate and release on one hot pool: over HTTP, and row by row in SQL on the same PostgreSQL, in turns. */
export async function benchAllocate(system: DevInfo, seconds: number, say: (line: string) => void): Promise<void> {
  const poolId = await createPool(system);
  const sql = await openSql(system.databaseUrl, Math.max(...CLIENTS));
  try {
    for (const clients of CLIENTS) {
      const api = await rate(clients, seconds, 2, () => pairOverHttp(system, poolId));
      const direct = await rate(clients, seconds, 1, (client) => sql.pair(client));
      say(`  ${String(clients).padStart(2)} clients   HTTP ${shown(api)}`);
      say(`               SQL  ${shown(direct)}`);
      say(`               HTTP / SQL = ${(perSecond(api) / perSecond(direct)).toFixed(2)}`);
    }
  } finally {
    await sql.close();
  }
}

async function createPool({ services, tokens }: DevInfo): Promise<string> {
  const body = { name: `bench-${randomUUID()}`, resource_type: 'GPU', total_capacity: TOTAL, location: 'bench' };
  const { id } = await send('POST', `${services['resource-pool']!.url}/resource_pools`, tokens.admin, 201, body);
  return String(id);
}

async function pairOverHttp({ services, tokens }: DevInfo, poolId: string): Promise<void> {
  const url = `${services['allocation']!.url}/resource_pools/${poolId}/allocations`;
  const { id } = await send('POST', url, tokens.service, 201, { service_id: randomUUID(), capacity: 1 });
  await send('DELETE', `${url}/${String(id)}`, tokens.service, 204);
}

/**
 * What the service guarantees, done by hand: the inventory's row is locked, checked and changed, the allocation and the
 * event's row are written in the same transaction, one transaction a request.
 */
async function openSql(databaseUrl: string, clients: number) {
  const connections = await Promise.all(
    Array.from({ length: clients }, async () => {
      const client = new Client({ connectionString: databaseUrl });
      await client.connect();
      return client;
    }),
  );
  const first = connections[0]!;
  await first.query(`
    DROP SCHEMA IF EXISTS bench CASCADE;
    CREATE SCHEMA bench;
    CREATE TABLE bench.inventory (pool_id uuid PRIMARY KEY, total bigint, allocated bigint);
    CREATE TABLE bench.allocation (id uuid PRIMARY KEY, pool_id uuid, service_id uuid, capacity bigint, created_at timestamptz DEFAULT now());
    CREATE TABLE bench.outbox (id uuid PRIMARY KEY, event jsonb);`);
  const poolId = randomUUID();
  await first.query('INSERT INTO bench.inventory VALUES ($1, $2, 0)', [poolId, TOTAL]);

  async function inTransaction(client: Client, work: () => Promise<void>): Promise<void> {
    await client.query('BEGIN');
    await work();
    await client.query('COMMIT');
  }
  const lock = 'SELECT total - allocated AS free FROM bench.inventory WHERE pool_id = $1 FOR UPDATE';
  const change = 'UPDATE bench.inventory SET allocated = allocated + $2 WHERE pool_id = $1';
  const event = 'INSERT INTO bench.outbox VALUES ($1, $2)';

  return {
    pair: async (index: number): Promise<void> => {
      const client = connections[index]!;
      const id = randomUUID();
      await inTransaction(client, async () => {
        const { rows } = await client.query<{ free: string }>(lock, [poolId]);
        if (Number(rows[0]?.free) < 1) throw new Error('the pool is full');
        await client.query(change, [poolId, 1]);
        await client.query('INSERT INTO bench.allocation VALUES ($1, $2, $3, 1)', [id, poolId, randomUUID()]);
        await client.query(event, [randomUUID(), { type: 'allocation.created', id }]);
      });
      await inTransaction(client, async () => {
        await client.query(lock, [poolId]);
        await client.query('DELETE FROM bench.allocation WHERE id = $1', [id]);
        await client.query(change, [poolId, -1]);
        await client.query(event, [randomUUID(), { type: 'allocation.released', id }]);
      });
    },
    close: async () => {
      await first.query('DROP SCHEMA bench CASCADE');
      await Promise.all(connections.map((client) => client.end()));
    },
  };
}
