import { randomUUID } from 'node:crypto';
import { currentInstance } from '../../../tools/instance';
import { runningPid } from '../../../tools/processes';
import { E2E_PORT_OFFSET } from '../support/e2e-instance';
import { OwnSystem } from '../support/own-system';
import { call, eventually, type Answer } from '../support/system';

/**
 * A broker that is away for so long that the sidecars give it up. In a system of its own, whose sidecars end.
 * Slow: nothing but 60 attempts, 2 s apart, makes them give up.
 */

jest.setTimeout(420_000);

const AWAY_MS = 150_000;
const ENV = { RM_INSTANCE: 'broker-away', RM_PORT_OFFSET: String(E2E_PORT_OFFSET + 600) };
const WITH_PUBSUB = ['allocation', 'task-runner', 'blockchain-forwarder'];
const SERVICES = ['resource-pool', ...WITH_PUBSUB];
const GIVEN_UP = 'the sidecar has given the broker up: waiting for it';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const pidsOf = (names: string[]): (number | undefined)[] =>
  names.map((name) => runningPid(currentInstance({ ...process.env, ...ENV }), name));
const sidecarsOf = (names: string[]): string[] => names.map((name) => `daprd-${name}`);

let system: OwnSystem;
beforeAll(async () => {
  system = await OwnSystem.start(ENV);
}, 150_000);
afterAll(async () => {
  // it may not have come up
  await (system as OwnSystem | undefined)?.stop();
});

function ask(method: string, to: string, body?: unknown): Promise<Answer> {
  const [appId = '', ...rest] = to.split('/');
  const token = system.token('00000000-0000-4000-8000-000000000001', 'admin');
  return call(method, `${system.info.services[appId]!.url}/${rest.join('/')}`, { token, body });
}

test('JetStream is away until the sidecars give it up: requests go on, and when it is back the events follow, each once, by themselves', async () => {
  const pool = { name: 'long away', resource_type: 'GPU', total_capacity: 10, location: 'here' };
  const { id: poolId } = (await ask('POST', 'resource-pool/resource_pools', pool)).body as { id: string };
  const allocations = `allocation/resource_pools/${poolId}/allocations`;
  const [services, sidecars] = [pidsOf(SERVICES), pidsOf(sidecarsOf(SERVICES))];

  const outage = system.kill('nats', { hold: true });
  const began = Date.now();
  const released: string[] = [];
  try {
    while (Date.now() - began < AWAY_MS) {
      const made = await ask('POST', allocations, { service_id: randomUUID(), capacity: 1 });
      expect(made.status).toBe(201);
      const { id } = made.body as { id: string };
      expect((await ask('DELETE', `${allocations}/${id}`)).status).toBe(204);
      released.push(id);
      for (const service of SERVICES) expect((await ask('GET', `${service}/readyz`)).status).toBe(200);
      await pause(1_000);
    }
    // else this test shows nothing
    for (const service of WITH_PUBSUB) expect(system.log(service)).toContain(GIVEN_UP);
    expect(pidsOf(sidecarsOf(SERVICES))).toEqual(sidecars);
  } finally {
    outage.release();
  }

  expect(released.length).toBeGreaterThan(30);
  const recorded = async (): Promise<string[]> => {
    const records = await system.rows('blockchain-forwarder', 'usage:');
    return records.map((record) => JSON.stringify(record)).filter((record) => record.includes(poolId));
  };
  await eventually(
    'each release has become a usage record',
    async () => {
      const records = await recorded();
      return released.every((id) => records.some((record) => record.includes(id)));
    },
    90_000,
  );
  expect(await recorded()).toHaveLength(released.length);
  await eventually('no outbox has anything left', async () => {
    const [row] = await system.sql<{ count: string }>(`SELECT count(*) FROM state WHERE key LIKE '%||outbox:%'`);
    return row?.count === '0';
  });
  // each service looks by itself, and one that nobody waits for may be the last
  const isKept = () => pidsOf(sidecarsOf(SERVICES)).map((pid, at) => pid === sidecars[at]);
  await eventually('the sidecars that had to were started anew', () => isKept().filter(Boolean).length === 1, 30_000);
  await eventually('all is ready', async () => {
    const answers = await Promise.all(SERVICES.map((service) => ask('GET', `${service}/readyz`)));
    return answers.every(({ status }) => status === 200);
  });
  expect((await ask('POST', allocations, { service_id: randomUUID(), capacity: 1 })).status).toBe(201);
  // and nothing else
  expect(pidsOf(SERVICES)).toEqual(services);
  expect(isKept()).toEqual([true, false, false, false]);
});
