import type { Allocation } from '../../domain/inventory';
import type { Client } from './client';
import type { Wish } from './chronicle';
import { allocateForTask, releaseForTask } from './task-actions';
import { cancel, watch } from './waiting-actions';
import { ends, forget, grants, remember, some } from './wishes';

/** What a client may do next, and how often it does; a new command of the service is one more of these. */
const ACTIONS: readonly [weight: number, act: (client: Client) => Promise<void>][] = [
  [6, (client) => allocate(client)],
  [2, (client) => allocateGroup(client)],
  [2, (client) => allocateForTask(client)],
  [5, (client) => release(client)],
  [3, (client) => renew(client)],
  [1, (client) => releaseAll(client)],
  [1, (client) => releaseGroup(client)],
  [1, (client) => releaseForTask(client)],
  [2, (client) => cancel(client)],
  [1, (client) => watch(client)],
];

/** Each as often as it weighs. */
export const BY_WEIGHT = ACTIONS.flatMap(([weight, act]) => Array<typeof act>(weight).fill(act));

async function allocate(client: Client): Promise<void> {
  const { scheduler, poolIds, serviceIds, held, waiting } = client.world;
  const [poolId, serviceId, token] = [scheduler.pick(poolIds), scheduler.pick(serviceIds), scheduler.uuid()];
  const capacity = scheduler.whole(1, 4);
  const leaseSeconds = scheduler.pick([undefined, 1, 1, 2]);
  const waitSeconds = scheduler.pick([undefined, undefined, 1, 2]);
  const priority = scheduler.pick([0, 0, 1]);
  const once = scheduler.chance(0.5);
  const idempotency = once ? { id: scheduler.uuid(), fingerprint: 'one content' } : undefined;
  const wish = grants({
    token,
    what: `allocate ${capacity} of ${poolId.slice(0, 2)}${once ? ' once' : ''}`,
    once,
    priority,
    grants: (made) => made.poolId === poolId && made.capacity === capacity && made.serviceId === serviceId,
  });
  const answer = await client.ask(wish, ({ allocations }, signal) =>
    allocations.allocate({
      ...{ poolId, serviceId, capacity, createdBy: token, leaseSeconds },
      ...{ waitSeconds, priority, idempotency, signal },
    }),
  );
  if (answer.kind !== 'done') return;
  remember(held, { poolId, id: answer.value!, serviceId, leased: leaseSeconds !== undefined || answer.waits === true });
  if (answer.waits) remember(waiting, answer.value!);
  if (idempotency && scheduler.chance(0.2)) await reuseKey(client, poolId, idempotency.id);
}

/** Another content under a key that was used: refused for ever. */
async function reuseKey(client: Client, poolId: string, key: string): Promise<void> {
  const { scheduler, serviceIds } = client.world;
  const token = scheduler.uuid();
  const wish: Wish = {
    token,
    what: `reuse-key for ${poolId.slice(0, 2)}`,
    once: true,
    refusals: ['request.idempotency_key_reused'],
    verify: (answer) => (answer.kind === 'done' ? `another content made ${answer.value}` : undefined),
  };
  const idempotency = { id: key, fingerprint: 'another content' };
  await client.ask(wish, ({ allocations }, signal) =>
    allocations.allocate({
      poolId,
      serviceId: scheduler.pick(serviceIds),
      capacity: 1,
      createdBy: token,
      idempotency,
      signal,
    }),
  );
}

async function allocateGroup(client: Client): Promise<void> {
  const { scheduler, poolIds, serviceIds, groups } = client.world;
  const [serviceId, token, once] = [scheduler.pick(serviceIds), scheduler.uuid(), scheduler.chance(0.5)];
  const claims = Array.from({ length: scheduler.whole(1, 4) }, () => ({
    poolId: scheduler.pick(poolIds),
    capacity: scheduler.whole(1, 2),
  }));
  const idempotency = once ? { id: scheduler.uuid(), fingerprint: 'one content' } : undefined;
  const wish = grants({
    token,
    what: `group ${claims.map(({ poolId }) => poolId.slice(0, 2)).join('+')}${once ? ' once' : ''}`,
    once,
    members: claims.length,
    grants: (made) =>
      made.serviceId === serviceId &&
      claims.some(({ poolId, capacity }) => made.poolId === poolId && made.capacity === capacity),
  });
  const answer = await client.ask(wish, ({ groups: service }, signal) =>
    service.allocate({ serviceId, claims, createdBy: token, idempotency, signal }),
  );
  if (answer.kind === 'done') remember(groups, answer.value!);
}

async function release(client: Client): Promise<void> {
  const { scheduler, held } = client.world;
  const one = some(client, held);
  const token = scheduler.uuid();
  if (!one) return;
  const answer = await client.ask(
    ends(token, `release ${one.id.slice(0, 4)}`, ({ id }) => id === one.id, 'allocation.not_found'),
    ({ allocations }) => allocations.release(one.poolId, one.id, token),
  );
  // some do not hear of it, and ask for what is gone
  if (answer.kind !== 'lost' && scheduler.chance(0.7)) forget(held, one);
}

async function releaseAll(client: Client): Promise<void> {
  const { scheduler, poolIds, serviceIds } = client.world;
  const [poolId, serviceId, token] = [scheduler.pick(poolIds), scheduler.pick(serviceIds), scheduler.uuid()];
  const concerns = (made: Allocation) => made.poolId === poolId && made.serviceId === serviceId && made.taskId === null;
  await client.ask(
    ends(token, `release-all of ${poolId.slice(0, 2)}`, concerns, 'pool.not_found'),
    async ({ allocations }) => {
      await allocations.releaseAll(poolId, serviceId, token);
    },
  );
}

async function releaseGroup(client: Client): Promise<void> {
  const group = some(client, client.world.groups);
  const token = client.world.scheduler.uuid();
  if (group === undefined) return;
  const concerns = ({ groupId }: Allocation) => groupId === group;
  await client.ask(ends(token, `release-group ${group.slice(0, 4)}`, concerns, 'group.not_found'), ({ groups }) =>
    groups.release(group, token),
  );
}

/** Renewals only ever make it longer, so that what a client was told stays true. */
async function renew(client: Client): Promise<void> {
  const { scheduler, held, heldByTasks } = client.world;
  const forTasks = scheduler.chance(0.3);
  const one = some(client, forTasks ? heldByTasks : held);
  if (!one?.leased) return;
  const seconds = forTasks ? 2 : scheduler.pick([undefined, 2, 2, null]);
  if (seconds === null) one.leased = false;
  const wish: Wish = {
    token: scheduler.uuid(),
    what: `renew ${one.id.slice(0, 4)} ${seconds}`,
    once: true,
    refusals: ['allocation.busy', 'allocation.not_found', 'allocation.not_leased'],
    verify: (answer, send, chronicle) => {
      const there = chronicle.heldSince(send, ({ id }) => id === one.id);
      if (answer.kind === 'refused') {
        return there && answer.code === 'allocation.not_found' ? `refused, but ${one.id} is held` : undefined;
      }
      const end = there?.lease?.expiresAt;
      if (end === undefined || seconds === null) return undefined;
      chronicle.promised.set(one.id, end);
      const least = scheduler.timeOf(send.at + (seconds ?? 1) * 1_000);
      return end < least ? `${one.id} is held until ${end}, not ${least}` : undefined;
    },
  };
  await client.ask(wish, async ({ allocations }) => {
    const { poolId, id } = one;
    if (forTasks) await allocations.renewForTasks([{ poolId, allocationId: id }], 2);
    else await allocations.renew(poolId, id, seconds);
  });
}
