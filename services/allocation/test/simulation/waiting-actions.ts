import type { Client } from './client';
import type { Wish } from './chronicle';

/** Takes a request back that waited when its client heard of it; it may have been granted, or be over, by now. */
export async function cancel(client: Client): Promise<void> {
  const { scheduler, chronicle, waiting } = client.world;
  if (waiting.length === 0) return;
  const [id, token] = [scheduler.pick(waiting), scheduler.uuid()];
  chronicle.cancelAsked.add(id);
  const wish: Wish = {
    token,
    what: `cancel ${id.slice(0, 4)}`,
    once: true,
    ends: (released) => released.id === id,
    refusals: ['allocation.busy'],
    verify: (answer, _, { content }) => {
      const left = content.live.has(id) ? 'held' : content.requests.get(id)?.status;
      return answer.kind === 'done' && (left === 'held' || left === 'waiting')
        ? `done, but ${id} is ${left}`
        : undefined;
    },
  };
  await client.ask(wish, ({ requests }) => requests.cancel(id, token));
}

/** Looks at a request, or waits for news of it. */
export async function watch(client: Client): Promise<void> {
  const { scheduler, waiting } = client.world;
  if (waiting.length === 0) return;
  const [id, seconds] = [scheduler.pick(waiting), scheduler.pick([0, 1])];
  const wish: Wish = {
    token: scheduler.uuid(),
    what: `watch ${id.slice(0, 4)} ${seconds}`,
    once: true,
    refusals: [],
    verify: (answer, _, { content }) => {
      if (answer.kind !== 'done' || answer.value === 'waiting') return undefined;
      // how it has ended stays so; whether it still waits may have changed since it was looked at
      const status = content.requests.get(id)?.status;
      return status === answer.value ? undefined : `${id} is said to be ${answer.value}, and is ${status}`;
    },
  };
  await client.ask(
    wish,
    async ({ requests }, signal) => (await requests.changed(id, seconds, undefined, signal)).request.status,
  );
}
