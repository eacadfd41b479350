// The clients of the bench, in a process of their own: does one piece of work after the other as bench.ts sends them.
import { randomUUID } from 'node:crypto';
import { Connection, type Answer } from './connection';
import { connectSql } from './sql';

export type Side = 'sql' | 'service';

/** `pairs`: grants and releases, over and over, for so long. `lists`: pages of 100 of the first pool, so many. */
export type Work = { side: Side; clients: number; pools: readonly string[] } & (
  { kind: 'pairs'; seconds: number } | { kind: 'lists'; count: number }
);

export interface Done {
  count: number;
  seconds: number;
  /** Milliseconds of each grant, or list, sorted. */
  latencies: number[];
  /** Answers that nobody should get, by status and code. */
  unexpected: Record<string, number>;
}

interface Party {
  grant(poolId: string): Promise<string | undefined>;
  release(poolId: string, id: string): Promise<void>;
  list(poolId: string): Promise<unknown>;
}

const [serviceUrl = '', token = '', databaseUrl = ''] = process.argv.slice(2);
let unexpected: Record<string, number> = {};

/** True when the answer is the one that was hoped for; a pool without free capacity is an answer like another. */
function expected({ status, body }: Answer, hoped: number): boolean {
  if (status === hoped) return true;
  const code = /"code":"([\w.]+)"/.exec(body)?.[1] ?? 'no code';
  const seen = `${status} ${code}`;
  if (seen !== '409 allocation.insufficient_capacity') unexpected[seen] = (unexpected[seen] ?? 0) + 1;
  return false;
}

async function connectService(): Promise<Party> {
  const connection = await Connection.open(serviceUrl, token);
  const pathOf = (poolId: string): string => `/resource_pools/${poolId}/allocations`;
  return {
    grant: async (poolId) => {
      const body = `{"service_id":"${randomUUID()}","capacity":1}`;
      const answer = await connection.request('POST', pathOf(poolId), body);
      return expected(answer, 201) ? (JSON.parse(answer.body) as { id: string }).id : undefined;
    },
    release: async (poolId, id) => void expected(await connection.request('DELETE', `${pathOf(poolId)}/${id}`), 204),
    list: async (poolId) => expected(await connection.request('GET', `${pathOf(poolId)}?limit=100`), 200),
  };
}

const parties: Record<Side, Party[]> = { sql: [], service: [] };

async function partiesOf({ side, clients }: Work): Promise<Party[]> {
  const there = parties[side];
  const connect = (): Promise<Party> => (side === 'sql' ? connectSql(databaseUrl) : connectService());
  while (there.length < clients) there.push(await connect());
  return there.slice(0, clients);
}

async function carryOut(work: Work): Promise<Done> {
  const clients = await partiesOf(work);
  const latencies: number[] = [];
  unexpected = {};
  const poolOf = (): string => work.pools[Math.floor(Math.random() * work.pools.length)]!;
  async function timed<T>(call: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await call();
    latencies.push(performance.now() - started);
    return result;
  }
  let count = 0;
  const began = performance.now();
  async function pairs(party: Party, seconds: number): Promise<void> {
    while (performance.now() < began + seconds * 1000) {
      const poolId = poolOf();
      const id = await timed(() => party.grant(poolId));
      if (id === undefined) continue;
      await party.release(poolId, id);
      count += 1;
    }
  }
  async function lists(party: Party, pages: number): Promise<void> {
    for (; count < pages; count += 1) await timed(() => party.list(poolOf()));
  }
  await Promise.all(
    clients.map((party) => (work.kind === 'pairs' ? pairs(party, work.seconds) : lists(party, work.count))),
  );
  const seconds = (performance.now() - began) / 1000;
  return { count, seconds, latencies: latencies.sort((a, b) => a - b), unexpected };
}

process.on('message', (work: Work) => {
  carryOut(work).then(
    (done) => process.send?.({ done }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
