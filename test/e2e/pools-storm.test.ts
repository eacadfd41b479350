// Slow: a minute of storm, in which everything is killed twenty times.
import { randomUUID } from 'node:crypto';
import { eventsOf } from './support/event-stream';
import { as, faultsInTheBooks, idOf, poolInput, replicas, SERVICE, tally } from './support/pools';
import { allReady, eventually, kill, type Answer } from './support/system';
import { sql } from './support/database';

/**
 * Issue 4, the proof on real parts: two replicas and 64 clients that allocate, release, renew, wait, resize and cordon at
 * random for a minute, while both replicas, their sidecars and PostgreSQL are killed with -9 in turn, twenty times. Then
 * the audit is clean, every success that a client saw is there, nothing else is, and each start and end is told once.
 */

const STORM_MS = 60_000;
const KILLS = 20;
const CLIENTS = 64;
const PARTS = ['allocation', 'daprd-allocation-2', 'postgres', 'allocation-2', 'daprd-allocation'];

jest.setTimeout(STORM_MS + 180_000);

/** What a client knows of an allocation that it was told of. */
interface Known {
  poolId: string;
  /** Held until then at least, as the last answer said; undefined: until it is released. */
  expiresAt: string | undefined;
  /** The client has seen it released. */
  released: boolean;
}

const known = new Map<string, Known>();
const answers: Answer[] = [];
const wrong: string[] = [];
let until = 0;

const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!;
const chance = (share: number): boolean => Math.random() < share;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Sends again, to either replica, until there is an answer that is none of a crash.
 * @returns how many tries had no answer, or one of a part that was away: each may have been carried out
 */
async function insist(method: string, path: string, body?: object): Promise<{ answer: Answer; lost: number }> {
  const headers: Record<string, string> = method === 'POST' ? { 'Idempotency-Key': randomUUID() } : {};
  for (let lost = 0; ; lost += 1) {
    const answer = await as('service', method, `${any(replicas())}${path}`, body, headers).catch(() => undefined);
    if (answer && answer.status < 500) {
      answers.push(answer);
      return { answer, lost };
    }
    if (answer && answer.status !== 503)
      wrong.push(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    if (lost > 300) throw new Error(`${method} ${path}: no answer in a minute`);
    await pause(100 + Math.random() * 200);
  }
}

async function take(poolId: string): Promise<string | undefined> {
  const wait = chance(0.4) ? { wait_seconds: any([3, 10]), priority: any([0, 0, 5]) } : {};
  const lease = chance(0.3) || 'wait_seconds' in wait ? { lease_seconds: any([2, 4, 8]) } : {};
  const body = { service_id: SERVICE, capacity: any([1, 1, 2, 4]), ...lease, ...wait };
  const path = `/resource_pools/${poolId}/allocations`;
  const sent = Date.now();
  const { answer } = await insist('POST', path, body);
  const id = idOf(answer);
  if (answer.status === 202) return waited(poolId, id);
  if (answer.status !== 201) return undefined;
  // its lease began after the request was sent
  const seconds = 'lease_seconds' in lease ? lease.lease_seconds : undefined;
  const expiresAt = seconds && new Date(sent + seconds * 1000).toISOString();
  known.set(id, { poolId, expiresAt: expiresAt || undefined, released: false });
  return id;
}

/** Stays in line, or takes the request back after a while. */
async function waited(poolId: string, id: string): Promise<string | undefined> {
  const path = `/allocation_requests/${id}`;
  const patience = chance(0.8);
  for (;;) {
    const { answer } = await insist('GET', `${path}?wait=2`);
    const shown = answer.body as { status: string; allocation?: { expires_at: string } };
    if (answer.status !== 200) {
      wrong.push(`${path}: ${answer.status}`);
      return undefined;
    }
    if (shown.status === 'granted') {
      // no allocation any more: its lease has ended before the news came
      const expiresAt = shown.allocation?.expires_at ?? new Date(0).toISOString();
      known.set(id, { poolId, expiresAt, released: false });
      return id;
    }
    if (shown.status !== 'waiting') return undefined;
    if (patience && Date.now() < until) continue;
    await insist('DELETE', path);
    const after = (await insist('GET', path)).answer.body as { status: string };
    // granted and given back in between
    if (after.status === 'granted') known.set(id, { poolId, expiresAt: undefined, released: true });
    else if (after.status === 'waiting') wrong.push(`${path}: waits though it was taken back`);
    return undefined;
  }
}

async function renew(id: string): Promise<void> {
  const it = known.get(id)!;
  if (it.expiresAt === undefined) return;
  const seconds = any([4, 8, null]);
  const { answer } = await insist('POST', `/resource_pools/${it.poolId}/allocations/${id}/renew`, {
    lease_seconds: seconds,
  });
  if (answer.status === 200) it.expiresAt = (answer.body as { expires_at?: string }).expires_at;
  // an answer that was lost may have renewed it before it ended
  else if (answer.status !== 404) wrong.push(`renew ${id}: ${answer.status}`);
}

async function give(id: string): Promise<void> {
  const it = known.get(id)!;
  const { answer, lost } = await insist('DELETE', `/resource_pools/${it.poolId}/allocations/${id}`);
  if (answer.status === 204) it.released = true;
  else if (answer.status !== 404) wrong.push(`release ${id}: ${answer.status}`);
  else if (lost > 0) it.released = true;
  else if (it.expiresAt === undefined) wrong.push(`release ${id}: 404, and nobody had released it`);
}

async function client(pools: readonly string[]): Promise<void> {
  const mine: string[] = [];
  while (Date.now() < until) {
    const dice = Math.random();
    if (mine.length < 3 && dice < 0.5) {
      const id = await take(any(pools));
      if (id !== undefined) mine.push(id);
    } else if (mine.length > 0 && dice < 0.65) await renew(any(mine));
    else if (mine.length > 0) await give(mine.splice(Math.floor(Math.random() * mine.length), 1)[0]!);
    await pause(Math.random() * 200);
  }
}

/** Changes the pools under everybody's hands. */
async function operator(pools: readonly string[]): Promise<void> {
  while (Date.now() < until) {
    await pause(500 + Math.random() * 1_000);
    const change = {
      ...poolInput({ name: 'storm', total_capacity: any([4, 10, 25]) }),
      state: any(['open', 'open', 'cordoned']),
      queue_policy: any(['strict', 'best_effort']),
    };
    await as('owner', 'PUT', `resource-pool/resource_pools/${any(pools)}?resize=allow`, change).catch(() => undefined);
  }
}

async function killer(): Promise<void> {
  for (let round = 0; round < KILLS; round += 1) {
    await pause(STORM_MS / (KILLS + 1));
    const part = PARTS[round % PARTS.length]!;
    // one that is just coming back from its last death has its turn at the next look
    await eventually(`${part} runs`, () => {
      try {
        kill(part);
        return true;
      } catch {
        return false;
      }
    });
  }
}

async function told(type: 'allocation.created' | 'allocation.released', pools: readonly string[]): Promise<string[]> {
  const events = await eventsOf(type);
  return events.flatMap(({ data }) => (pools.includes(data.resource_pool_id) ? [data.allocation_id] : [])).sort();
}

test('a minute of it: the books are right, and say what the clients saw', async () => {
  const pools: string[] = [];
  for (const total of [10, 10, 25, 25]) {
    const answer = await as('owner', 'POST', 'resource-pool/resource_pools', {
      ...poolInput({ name: 'storm', total_capacity: total }),
    });
    pools.push(idOf(answer));
  }
  until = Date.now() + STORM_MS;
  const work = Array.from({ length: CLIENTS }, () => client(pools));
  await Promise.all([...work, operator(pools), killer()]);
  await eventually('all are ready again', allReady, 60_000);

  // whoever is still leased, or waits, comes to an end by itself; a change of a pool that was left pending is carried on
  await eventually(
    'the leases have ended',
    async () => {
      const [row] = await sql(
        `SELECT count(*) AS count FROM allocations WHERE resource_pool_id = ANY($1) AND row->>'expires_at' IS NOT NULL`,
        [pools],
      );
      return Number(row?.['count']) === 0;
    },
    60_000,
  );
  await eventually('catalogue and inventories agree', async () => (await faultsInTheBooks()).length === 0, 60_000);

  const held = new Set(
    (await sql('SELECT id FROM allocations WHERE resource_pool_id = ANY($1)', [pools])).map(({ id }) => String(id)),
  );
  const ended = new Map(
    (
      await sql(`SELECT id, released_at, end_reason FROM allocation_history WHERE resource_pool_id = ANY($1)`, [pools])
    ).map((row) => [String(row['id']), { at: String(row['released_at']), reason: String(row['end_reason']) }]),
  );
  for (const [id, it] of known) {
    const end = ended.get(id);
    if (!held.has(id) && !end) wrong.push(`${id}: a client was told of it, and it never was`);
    else if (it.released && !end) wrong.push(`${id}: released, and held still`);
    else if (!it.released && it.expiresAt === undefined && !held.has(id))
      wrong.push(`${id}: nobody ended it, and it is gone`);
    else if (end?.reason === 'expired' && it.expiresAt !== undefined && end.at < it.expiresAt) {
      wrong.push(`${id}: expired at ${end.at}, and was held until ${it.expiresAt}`);
    }
  }
  for (const id of [...held, ...ended.keys()]) if (!known.has(id)) wrong.push(`${id}: nobody was told of it`);
  expect(wrong).toEqual([]);
  expect(await faultsInTheBooks()).toEqual([]);

  const starts = [...held, ...ended.keys()].sort();
  await eventually(
    'every start is told',
    async () => (await told('allocation.created', pools)).length >= starts.length,
    60_000,
  );
  await eventually(
    'every end is told',
    async () => (await told('allocation.released', pools)).length >= ended.size,
    60_000,
  );
  expect(await told('allocation.created', pools)).toEqual(starts);
  expect(await told('allocation.released', pools)).toEqual([...ended.keys()].sort());

  // it was a storm, and no calm: all kinds of answers came, often
  const counts = tally(answers);
  expect(counts['201']).toBeGreaterThan(40);
  expect(counts['202']).toBeGreaterThan(20);
  expect(counts['204']).toBeGreaterThan(40);
  expect([...ended.values()].filter(({ reason }) => reason === 'expired').length).toBeGreaterThan(10);

  for (const id of held) await insist('DELETE', `/resource_pools/${known.get(id)!.poolId}/allocations/${id}`);
});
