import { REFUSED_GRANTS } from '../../../../shared/contracts/inventory';
import type { Allocation } from '../../domain/inventory';
import type { Call } from './cluster';
import { type Answer, type Ledger, type Send, type Wish } from './ledger';
import type { Held, World } from './world';

const GRANTED: readonly string[] = [...REFUSED_GRANTS, 'allocation.busy'];

/** What a client may do next, and how often it does; a new command of the service is one more of these. */
export const ACTIONS: readonly [weight: number, act: (client: Client) => Promise<void>][] = [
  [6, (client) => allocate(client)],
  [2, (client) => allocateGroup(client)],
  [2, (client) => allocateForTask(client)],
  [5, (client) => release(client)],
  [3, (client) => renew(client)],
  [1, (client) => releaseAll(client)],
  [1, (client) => releaseGroup(client)],
  [1, (client) => releaseForTask(client)],
];

const BY_WEIGHT = ACTIONS.flatMap(([weight, act]) => Array<typeof act>(weight).fill(act));

/** Does one thing after the other, most of them again until it has an answer. */
export class Client {
  constructor(
    readonly name: string,
    readonly world: World,
  ) {}

  async run(requests: number): Promise<void> {
    const { scheduler } = this.world;
    for (let done = 0; done < requests; done += 1) {
      await scheduler.sleep(scheduler.between(0, 400), `${this.name} thinks`);
      if (this.world.quiet) return;
      await scheduler.pick(BY_WEIGHT)(this);
    }
  }

  /** Sends it until there is an answer, to any replica; or once, or twice at the same time, or it hangs up. */
  async ask(wish: Wish, call: Call): Promise<Answer> {
    const { scheduler, cluster, ledger } = this.world;
    ledger.wish(wish);
    const insist = async (): Promise<Answer> => {
      for (;;) {
        const answer = await cluster.ask(this.name, wish, call);
        if (answer.kind !== 'lost') return answer;
        await scheduler.sleep(scheduler.between(0, 200), `${this.name} asks again`);
      }
    };
    const manner = scheduler.whole(1, 10);
    if (manner === 1) return cluster.ask(this.name, wish, call, scheduler.between(0, 100));
    if (manner <= 3) return cluster.ask(this.name, wish, call);
    const answers = manner <= 5 && wish.once ? [insist(), insist()] : [insist()];
    return (await Promise.all(answers))[0]!;
  }
}

/** Right when the id that came back is of an allocation that this wish made, and the same each time. */
function sameGrant({ wish: { token, once }, ids }: Send, ledger: Ledger, value: string | undefined) {
  const made = ledger.madeBy(token).filter(({ allocation: { id, groupId } }) => (groupId ?? id) === value);
  if (made.length === 0) return `the answer is ${value}, which was never made`;
  if (!once && ids[0] !== value) return `the answer is ${value}, which another request made`;
  return undefined;
}

/** A refusal of what was granted already, before it was asked for again. */
function grantedBefore(send: Send, ledger: Ledger): string | undefined {
  const earlier = send.wish.once && ledger.madeBy(send.wish.token).find(({ at }) => at < send.at);
  return earlier ? `refused, but ${earlier.allocation.id} was made for it` : undefined;
}

function grants(fields: Partial<Wish> & Pick<Wish, 'token' | 'what'>): Wish {
  return {
    once: false,
    refusals: GRANTED,
    verify: (answer, send, ledger) =>
      answer.kind === 'done' ? sameGrant(send, ledger, answer.value) : grantedBefore(send, ledger),
    ...fields,
  };
}

/** Something of what clients hold, or held. */
function some<T>({ world: { scheduler } }: Client, of: readonly T[]): T | undefined {
  return of.length === 0 ? undefined : scheduler.pick(of);
}

function remember<T>(list: T[], one: T): void {
  list.push(one);
  if (list.length > 12) list.shift();
}

function forget<T>(list: T[], one: T): void {
  const index = list.indexOf(one);
  if (index >= 0) list.splice(index, 1);
}

async function allocate(client: Client): Promise<void> {
  const { scheduler, poolIds, serviceIds, held } = client.world;
  const [poolId, serviceId, token] = [scheduler.pick(poolIds), scheduler.pick(serviceIds), scheduler.uuid()];
  const capacity = scheduler.whole(1, 4);
  const leaseSeconds = scheduler.pick([undefined, undefined, 1, 2]);
  const once = scheduler.chance(0.5);
  const idempotency = once ? { id: scheduler.uuid(), fingerprint: 'one content' } : undefined;
  const wish = grants({
    token,
    what: `allocate ${capacity} of ${poolId.slice(0, 2)}${once ? ' once' : ''}`,
    once,
    grants: (made) => made.poolId === poolId && made.capacity === capacity && made.serviceId === serviceId,
  });
  const answer = await client.ask(wish, ({ allocations }, signal) =>
    allocations.allocate({ poolId, serviceId, capacity, createdBy: token, leaseSeconds, idempotency, signal }),
  );
  if (answer.kind !== 'done') return;
  remember(held, { poolId, id: answer.value!, serviceId, leased: leaseSeconds !== undefined });
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

async function allocateForTask(client: Client): Promise<void> {
  const { scheduler, poolIds, serviceIds, heldByTasks } = client.world;
  const [poolId, serviceId, token] = [scheduler.pick(poolIds), scheduler.pick(serviceIds), scheduler.uuid()];
  const [allocationId, taskId, capacity] = [scheduler.uuid(), scheduler.uuid(), scheduler.whole(1, 3)];
  const leaseSeconds = scheduler.pick([undefined, 2]);
  const task: Held = { poolId, id: allocationId, serviceId, leased: leaseSeconds !== undefined };
  const wish = grants({
    token,
    what: `task-allocate ${capacity} of ${poolId.slice(0, 2)}`,
    once: true,
    idsGiven: true,
    grants: ({ id, ...made }) =>
      id === allocationId && made.poolId === poolId && made.capacity === capacity && !task.over,
    refusals: [...GRANTED, 'allocation.given_back', 'request.idempotency_key_reused'],
    verify: (answer, send, ledger) => {
      if (answer.kind === 'done') return ledger.made.has(allocationId) ? undefined : `${allocationId} was never made`;
      return ledger.content.live.has(allocationId) ? grantedBefore(send, ledger) : undefined;
    },
  });
  // whoever stops the task may do so before there is an answer
  remember(heldByTasks, task);
  const stopped = scheduler.chance(0.2) ? releaseForTask(client, task) : undefined;
  await client.ask(wish, ({ allocations }) =>
    allocations.allocateForTask({ poolId, serviceId, capacity, createdBy: token, taskId, allocationId, leaseSeconds }),
  );
  await stopped;
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

/** An end of allocations: done, nothing that it concerns may be held since before it was asked for; refused, something was not there. */
function ends(token: string, what: string, concerns: (allocation: Allocation) => boolean, missing: string): Wish {
  return {
    token,
    what,
    // twice is no harm, but the second finds nothing
    once: true,
    ends: concerns,
    refusals: ['allocation.busy', 'pool.not_found', missing],
    verify: (answer, send, ledger) => {
      if (answer.kind === 'refused' && answer.code !== missing) return undefined;
      const left = ledger.heldSince(send, concerns);
      if (left) return `${answer.kind}, but ${left.id} is held`;
      const own = [...ledger.made.values()].some(({ released }) => released?.releasedBy === token);
      return answer.kind === 'refused' && own && ledger.sent(send.wish) === 1 ? 'refused what it has done' : undefined;
    },
  };
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

async function releaseForTask(
  client: Client,
  task: Held | undefined = some(client, client.world.heldByTasks),
): Promise<void> {
  if (!task) return;
  const wish = ends(`task:${task.id}`, `task-release ${task.id.slice(0, 4)}`, ({ id }) => id === task.id, 'none');
  // after it nothing is held under this id, and nothing will be
  const verify: Wish['verify'] = (answer, _, { content }) => {
    task.over = answer.kind === 'done';
    return task.over && content.live.has(task.id) ? `${task.id} is held` : undefined;
  };
  await client.ask({ ...wish, verify }, ({ allocations }) => allocations.releaseForTask(task.id));
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
    verify: (answer, send, ledger) => {
      const there = ledger.heldSince(send, ({ id }) => id === one.id);
      if (answer.kind === 'refused') {
        return there && answer.code === 'allocation.not_found' ? `refused, but ${one.id} is held` : undefined;
      }
      const end = there?.lease?.expiresAt;
      if (end === undefined || seconds === null) return undefined;
      ledger.promised.set(one.id, end);
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
