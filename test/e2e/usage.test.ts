import { createHash, randomUUID } from 'node:crypto';
import canonicalize from 'canonicalize';
import {
  startBlockchainService,
  type FakeBlockchainService,
} from '../../services/blockchain-forwarder/test/support/blockchain-service';
import { sql } from './support/database';
import { BLOCKCHAIN_SERVICE } from './support/outside-world';
import { call, eventually, kill, tokenFor } from './support/system';
import { isDelivered, publishRaw, taskStopped, timesAnchored, usageOf, type Usage } from './support/usage';

/**
 * Issue 3, D11 and D12, and issue 6: one record a use, its batch in every sink once, whatever is down meanwhile.
 * Slow: sinks, broker and database are away in turn, and back-offs run out.
 */

jest.setTimeout(180_000);

const admin = tokenFor(randomUUID(), 'admin');
let service: FakeBlockchainService | undefined;

async function openService(): Promise<FakeBlockchainService> {
  service ??= await startBlockchainService(BLOCKCHAIN_SERVICE.port);
  return service;
}

async function closeService(): Promise<void> {
  await service?.stop();
  service = undefined;
}

afterEach(closeService);

async function createPool(capacity: number): Promise<string> {
  const body = { name: `usage-${randomUUID()}`, resource_type: 'GPU', total_capacity: capacity, location: 'rack-1' };
  const answer = await call('POST', 'resource-pool/resource_pools', { token: admin, body });
  expect(answer.status).toBe(201);
  return (answer.body as { id: string }).id;
}

/** Allocates and releases. @returns the allocation's id */
async function use(token: string, poolId: string): Promise<string> {
  const path = `allocation/resource_pools/${poolId}/allocations`;
  const created = await call('POST', path, { token, body: { service_id: randomUUID(), capacity: 1 } });
  expect(created.status).toBe(201);
  const { id } = created.body as { id: string };
  expect((await call('DELETE', `${path}/${id}`, { token })).status).toBe(204);
  return id;
}

/** Which of the two sinks failed at its last step; tests of the store leave others. */
async function sinksInTrouble(): Promise<string[]> {
  const rows = await sql<{ sink: string }>(
    `SELECT value->>'sink' AS sink FROM (SELECT convert_from(value, 'UTF8')::json AS value FROM state
      WHERE key IN ('blockchain-forwarder||sink:http', 'blockchain-forwarder||sink:evm')) AS sinks
      WHERE (value->>'failures')::int > 0`,
  );
  return rows.map(({ sink }) => sink);
}

/** Requests that the BlockchainService got for these records. */
function postsFor(usages: readonly Usage[]): number[] {
  return usages.map(({ usageHash }) => service?.requests.filter((log) => log.usageHash === usageHash).length ?? 0);
}

describe('the end of a use', () => {
  test('when an allocation is released, then one record of it is hashed, delivered to both sinks, shown and verified', async () => {
    await openService();
    const sub = randomUUID();
    const token = tokenFor(sub, 'service');
    const allocationId = await use(token, await createPool(1));
    let usage: Usage | undefined;
    await eventually('the record is in both sinks', async () => {
      [usage] = await usageOf(token);
      return usage !== undefined && isDelivered(usage, 'http', 'evm');
    });
    expect(usage!.record).toMatchObject({
      kind: 'allocation',
      userId: sub,
      allocationId,
      capacity: 1,
      reason: 'released',
    });
    expect(usage!.usageHash).toBe(`0x${createHash('sha256').update(canonicalize(usage!.record)!).digest('hex')}`);
    expect(usage).toMatchObject({ state: 'finalized', sinks: { http: { stage: 'delivered' } } });
    expect(await timesAnchored([usage!])).toEqual([1]);

    const [post] = service!.requests.filter((log) => log.usageHash === usage!.usageHash);
    expect(post).toMatchObject({
      metadata: usage!.record,
      headers: { authorization: `Bearer ${BLOCKCHAIN_SERVICE.token}`, 'idempotency-key': usage!.usageHash },
    });

    const path = `blockchain-forwarder/api/usage/${usage!.id}`;
    expect((await call('GET', path, { token })).body).toEqual(usage);
    const { batchId, root } = usage!.batch!;
    expect((await call('GET', `${path}/verify`, { token })).body).toMatchObject({
      valid: true,
      computedHash: usage!.usageHash,
      batch: { batchId, storedRoot: root, computedRoot: root },
      sinks: {
        evm: {
          stage: 'finalized',
          found: true,
          receipt: { batchId, transactionHash: expect.stringMatching(/^0x/) as string },
        },
        http: { stage: 'delivered', found: null, receipt: { status: 201 } },
      },
    });
    expect((await call('GET', `blockchain-forwarder/api/ledger/batches/${batchId}`, { token })).body).toEqual(
      usage!.batch,
    );
    const stranger = tokenFor(randomUUID(), 'service');
    expect(await call('GET', path, { token: stranger })).toMatchObject({
      status: 404,
      body: { code: 'usage.not_found' },
    });
    expect(await usageOf(stranger, `&userId=${sub}`)).toEqual([]);
    expect(await usageOf(admin, `&userId=${sub}`)).toHaveLength(1);
  });

  test('when a task ends, then one record tells of it, and none of the allocation that it held', async () => {
    const userId = randomUUID();
    const token = tokenFor(userId, 'user');
    const started = await call('POST', 'task-runner/api/tasks', { token, body: { userId, serviceType: 'demo' } });
    expect(started.status).toBe(201);
    const { taskId } = started.body as { taskId: string };
    expect((await call('DELETE', `task-runner/api/tasks/${taskId}`, { token })).status).toBe(200);
    const task = (await call('GET', `task-runner/api/tasks/${taskId}`, { token })).body as Record<string, unknown>;
    await eventually('the task has its record', async () => (await usageOf(token)).length > 0);
    // an event of the allocation would have come by now
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const usages = await usageOf(token);
    expect(usages).toHaveLength(1);
    expect(usages[0]!.record).toMatchObject({
      kind: 'task',
      taskId,
      userId,
      serviceType: 'demo',
      startedAt: task['startTime'],
      endedAt: task['stopTime'],
      duration: task['duration'],
    });
    expect(usages[0]!.record['allocationId']).toEqual(expect.any(String));
  });
});

describe('whatever happens on the way', () => {
  test('when the same event is delivered three times, then there is one record and one delivery to each sink', async () => {
    await openService();
    const userId = randomUUID();
    const event = taskStopped(userId);
    const later = taskStopped(userId);
    await publishRaw('usage.ended', event, [event, event], [later, event]);
    let usages: Usage[] = [];
    await eventually('the event behind the three is in both sinks', async () => {
      usages = await usageOf(tokenFor(userId, 'user'));
      return usages.some(({ id }) => id === later.id) && usages.every((usage) => isDelivered(usage, 'http', 'evm'));
    });
    expect(usages.map(({ id }) => id).sort()).toEqual([event.id, later.id].sort());
    expect(postsFor(usages)).toEqual([1, 1]);
    expect(await timesAnchored(usages)).toEqual([1, 1]);
  });

  test('when both sinks are down while 50 uses end, then all 50 are in both once they are back, each once', async () => {
    await closeService();
    // a killed anvil forgets up to a second of blocks, which are final already on this chain
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const chain = kill('chain', { hold: true });
    const token = tokenFor(randomUUID(), 'service');
    const poolId = await createPool(50);
    await Promise.all(Array.from({ length: 50 }, () => use(token, poolId)));
    await eventually(
      'all are in batches, and both sinks were tried in vain',
      async () => {
        const usages = await usageOf(token);
        return usages.length === 50 && usages.every(({ batch }) => batch) && (await sinksInTrouble()).length === 2;
      },
      60_000,
    );
    expect((await usageOf(token)).some((usage) => isDelivered(usage, 'http') || isDelivered(usage, 'evm'))).toBe(false);

    chain.release();
    await openService();
    let usages: Usage[] = [];
    await eventually(
      'all are in both sinks',
      async () => {
        usages = await usageOf(token);
        return usages.every((usage) => isDelivered(usage, 'http', 'evm'));
      },
      60_000,
    );
    expect(postsFor(usages)).toEqual(Array(50).fill(1));
    expect(await timesAnchored(usages)).toEqual(Array(50).fill(1));
  });

  test('when forwarder and sidecar are killed while events flow, then every event has its record and its delivery once', async () => {
    await openService();
    const userId = randomUUID();
    const token = tokenFor(userId, 'user');
    const events = Array.from({ length: 200 }, () => taskStopped(userId));
    await publishRaw('usage.ended', ...Array.from({ length: 100 }, (_, i) => events.slice(2 * i, 2 * i + 2)));
    await eventually('the first are recorded', async () => (await usageOf(token)).length >= 20);
    kill('daprd-blockchain-forwarder');
    kill('blockchain-forwarder');
    let usages: Usage[] = [];
    await eventually(
      'all are in both sinks',
      async () => {
        usages = await usageOf(token).catch(() => []);
        return usages.length === events.length && usages.every((usage) => isDelivered(usage, 'http', 'evm'));
      },
      150_000,
    );
    expect(usages.map(({ id }) => id).sort()).toEqual(events.map(({ id }) => id).sort());
    expect(await timesAnchored(usages)).toEqual(Array(200).fill(1));
    // an answer may be lost with the process that waited for it: the service then sees the same idempotency key again
    expect(new Set(service!.requests.map((log) => log.headers['idempotency-key'])).size).toBeGreaterThanOrEqual(200);
  });
});
