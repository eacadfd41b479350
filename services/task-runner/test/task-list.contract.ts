import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Keyset } from '../../../shared/http/paging';
import { outcomeOfStop } from '../domain/outcome';
import { ended, stopping, type Task, type TaskStatus } from '../domain/task';
import { keysetOf, UNLISTED, type ListedTask, type TaskQuery, type TaskStore } from '../ports/task-store';
import { buildTask, NO_LIMITS } from './support/build';

type Filter = Omit<TaskQuery, 'limit' | 'after' | 'before'>;
const STATES = ['Stopped', 'Error'] as const;
const START = Date.UTC(2026, 0, 1);
const at = (minute: number): string => new Date(START + minute * 60_000).toISOString();

/** A task that has ended and owes nothing, so that no service that runs on the same store has work with it. */
function endedTask(userId: string, minute: number, status: (typeof STATES)[number], serviceType: string): Task {
  const task = buildTask({ userId, serviceType, createdAt: at(minute) });
  const outcome = { ...outcomeOfStop(task, userId, at(minute)), status };
  const seen = { at: at(minute), finishedAt: null, exitCode: 0, capacityState: 'returned' } as const;
  return ended(stopping(task, outcome), seen);
}

/** Written a second time it leaves its place among the open tasks, which an ended one never had. */
async function keep(store: TaskStore, task: Task): Promise<void> {
  await store.insert(task, NO_LIMITS);
  const made = await store.get(task.id);
  if (!made) throw new Error(`task ${task.id} was inserted, and is not there`);
  await store.save(made.task, made.version);
}

/** What every adapter of TaskStore promises of its list, with tasks of users of its own. */
export function describeTaskList(name: string, connect: () => TaskStore, runs: number): void {
  describe(`the list of tasks: ${name}`, () => {
    const minutes = fc.nat({ max: 20 }); // few, so that many tasks are created at the same time
    const made = fc.record({
      minute: minutes,
      status: fc.constantFrom(...STATES),
      serviceType: fc.constantFrom('demo', 'jupyter'),
      mine: fc.boolean(),
    });
    const filters: fc.Arbitrary<Filter> = fc.record(
      {
        status: fc.subarray<TaskStatus>([...STATES, 'Running'], { minLength: 1 }),
        serviceType: fc.constantFrom('demo', 'jupyter'),
        from: minutes.map(at),
        to: minutes.map(at),
      },
      { requiredKeys: [] },
    );

    test('when it is filtered by anything, then it holds exactly what fits, newest first', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(made, { maxLength: 25 }), filters, async (wanted, filter) => {
          const store = connect();
          const userId = randomUUID();
          const other = randomUUID();
          const tasks = wanted.map((one) =>
            endedTask(one.mine ? userId : other, one.minute, one.status, one.serviceType),
          );
          await Promise.all(tasks.map((task) => keep(store, task)));
          const { status, serviceType, from, to } = filter;
          const fits = tasks.filter(
            (task) =>
              task.userId === userId &&
              (status === undefined || status.includes(task.status)) &&
              (serviceType === undefined || task.serviceType === serviceType) &&
              (from === undefined || task.createdAt >= from) &&
              (to === undefined || task.createdAt < to),
          );
          const found = await store.list({ ...filter, userId, limit: 100 });
          expect(found).toEqual(
            newestFirst(fits).map((task) => expect.objectContaining({ id: task.id, outcome: task.outcome })),
          );
          for (const hidden of UNLISTED) for (const task of found) expect(task).not.toHaveProperty(hidden);
        }),
        { numRuns: runs },
      );
    });

    test('when tasks begin and end while it is walked there and back, then each that was there all along comes once each way', async () => {
      const meanwhile = fc.array(made, { minLength: 1, maxLength: 5 });
      await fc.assert(
        fc.asyncProperty(
          fc.array(made, { minLength: 1, maxLength: 20 }),
          meanwhile,
          fc.integer({ min: 1, max: 7 }),
          async (before, later, limit) => {
            const store = connect();
            const userId = randomUUID();
            const there = before.map(({ minute, status, serviceType }) =>
              endedTask(userId, minute, status, serviceType),
            );
            await Promise.all(there.map((task) => keep(store, task)));
            const arrivals = [...later];
            const disturb = async (): Promise<void> => {
              const next = arrivals.shift();
              if (next) await keep(store, endedTask(userId, next.minute, next.status, next.serviceType));
              const touched = await store.get(there[0]!.id);
              if (touched) await store.save({ ...touched.task, containerId: randomUUID() }, touched.version);
            };
            const down = await walk((from) => store.list({ userId, limit, after: from }), 'down', disturb);
            const up = await walk((from) => store.list({ userId, limit, before: from }), 'up', disturb, {
              at: at(-1),
              id: randomUUID(),
            });
            for (const seen of [down, up]) {
              expect(seen.filter((id) => there.some((task) => task.id === id)).sort()).toEqual(
                there.map(({ id }) => id).sort(),
              );
              expect(new Set(seen).size).toBe(seen.length);
            }
          },
        ),
        { numRuns: runs },
      );
    });
  });
}

/** Ids of page after page, with something happening between them. */
async function walk(
  page: (from: Keyset | undefined) => Promise<ListedTask[]>,
  way: 'down' | 'up',
  between: () => Promise<void>,
  start?: Keyset,
): Promise<string[]> {
  const seen: string[] = [];
  let from = start;
  for (;;) {
    const tasks = await page(from);
    if (tasks.length === 0) return seen;
    seen.push(...tasks.map(({ id }) => id));
    from = keysetOf((way === 'down' ? tasks.at(-1) : tasks[0])!);
    await between();
  }
}

function newestFirst(tasks: Task[]): Task[] {
  const key = ({ createdAt, id }: Task): string => `${createdAt} ${id}`;
  return [...tasks].sort((a, b) => (key(a) < key(b) ? 1 : -1));
}
