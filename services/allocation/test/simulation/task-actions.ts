import type { Client } from './client';
import type { Wish } from './chronicle';
import { ends, GRANTED, grantedBefore, grants, remember, some } from './wishes';
import type { Held } from './world';

export async function allocateForTask(client: Client): Promise<void> {
  const { scheduler, poolIds, serviceIds, heldByTasks } = client.world;
  const [poolId, serviceId, token] = [scheduler.pick(poolIds), scheduler.pick(serviceIds), scheduler.uuid()];
  const [allocationId, taskId, capacity] = [scheduler.uuid(), scheduler.uuid(), scheduler.whole(1, 3)];
  const leaseSeconds = scheduler.pick([undefined, 2]);
  const [waitSeconds, priority] = [scheduler.pick([undefined, 1, 2]), scheduler.pick([0, 0, 1])];
  const task: Held = { poolId, id: allocationId, serviceId, leased: leaseSeconds !== undefined };
  const wish = grants({
    token,
    what: `task-allocate ${capacity} of ${poolId.slice(0, 2)}`,
    once: true,
    idsGiven: true,
    priority,
    grants: ({ id, ...made }) =>
      id === allocationId && made.poolId === poolId && made.capacity === capacity && !task.over,
    refusals: [...GRANTED, 'allocation.queue_full', 'allocation.given_back', 'request.idempotency_key_reused'],
    verify: (answer, send, chronicle) => {
      if (answer.kind === 'done' && answer.waits) {
        chronicle.count('task waits');
        return chronicle.content.requests.has(allocationId) ? undefined : `${allocationId} never waited`;
      }
      if (answer.kind === 'done' && chronicle.content.requests.has(allocationId))
        chronicle.count('task hears of its grant');
      if (answer.kind === 'done')
        return chronicle.made.has(allocationId) ? undefined : `${allocationId} was never made`;
      return chronicle.content.live.has(allocationId) ? grantedBefore(send, chronicle) : undefined;
    },
  });
  // whoever stops the task may do so before there is an answer
  remember(heldByTasks, task);
  const stopped = scheduler.chance(0.2) ? releaseForTask(client, task) : undefined;
  const asked = { poolId, serviceId, capacity, createdBy: token, taskId, allocationId, leaseSeconds };
  const ask = () =>
    client.ask(wish, ({ allocations }) => allocations.allocateForTask({ ...asked, waitSeconds, priority }));
  // who waits asks again to hear how things stand
  if ((await ask()).kind === 'done') await ask();
  await stopped;
}

export async function releaseForTask(
  client: Client,
  task: Held | undefined = some(client, client.world.heldByTasks),
): Promise<void> {
  if (!task) return;
  client.world.chronicle.cancelAsked.add(task.id);
  const wish = ends(`task:${task.id}`, `task-release ${task.id.slice(0, 4)}`, ({ id }) => id === task.id, 'none');
  // after it nothing is held under this id, and nothing will be
  const verify: Wish['verify'] = (answer, _, { content }) => {
    task.over = answer.kind === 'done';
    const left = content.live.has(task.id) ? 'held' : content.requests.get(task.id)?.status;
    return task.over && (left === 'held' || left === 'waiting') ? `${task.id} is ${left}` : undefined;
  };
  await client.ask({ ...wish, verify }, ({ allocations }) => allocations.releaseForTask(task.id));
}
