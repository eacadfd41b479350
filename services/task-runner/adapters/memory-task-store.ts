import { TOLD_OF_TASK } from '../../../shared/contracts/task';
import type { Keyset } from '../../../shared/http/paging';
import { versionConflict } from '../domain/errors';
import { changed, checkPlaces, NO_PLACES, type PlaceLimits, type Places } from '../domain/places';
import { hasEnded, isOpen, type Task } from '../domain/task';
import {
  keysetOf,
  type ListedTask,
  type OpenTask,
  type Remembered,
  type RunningTask,
  type TaskEvent,
  type TaskLease,
  type TaskQuery,
  type TaskStore,
  type Versioned,
} from '../ports/task-store';
import { fromListedRow, fromTaskRow, runningTaskRow, toTaskRow } from './task-row';

/** Tasks in memory, through JSON as in the real store. */
export class MemoryTaskStore implements TaskStore {
  /** Every event that was ever committed, in order. */
  readonly events: TaskEvent[] = [];
  /** Called before and after each write; what it throws, the write throws. */
  interfere: (when: 'before' | 'after', task: Task) => void | Promise<void> = () => {};

  private readonly rows = new Map<string, { json: string; version: number }>();
  private readonly placed = new Map<string, Task>();
  private readonly requests = new Map<string, Remembered>();
  private writes = 0;

  async insert(task: Task, limits: PlaceLimits, fingerprint?: string): Promise<Remembered | undefined> {
    await this.interfere('before', task);
    const first = task.requestKey === null ? undefined : this.requests.get(task.requestKey);
    if (first) return first;
    if (this.rows.has(task.id)) throw versionConflict();
    const placed = [...this.placed.values()];
    const own = placed.filter(({ userId }) => userId === task.userId);
    checkPlaces(limits, task.serviceType, placesOf(placed), placesOf(own));
    if (task.requestKey !== null)
      this.requests.set(task.requestKey, { taskId: task.id, fingerprint: fingerprint ?? '' });
    this.write(task);
    await this.interfere('after', task);
    return undefined;
  }

  async get(id: string): Promise<Versioned | undefined> {
    const row = await Promise.resolve(this.rows.get(id));
    return row && { task: fromTaskRow(JSON.parse(row.json)), version: String(row.version) };
  }

  remembered(requestKey: string): Promise<Remembered | undefined> {
    return Promise.resolve(this.requests.get(requestKey));
  }

  async save(task: Task, version: string, event?: TaskEvent): Promise<void> {
    await this.interfere('before', task);
    this.expect(task.id, version);
    this.write(task);
    if (event) this.events.push(event);
    await this.interfere('after', task);
  }

  async discard(task: Task, version: string): Promise<void> {
    await this.interfere('before', task);
    this.expect(task.id, version);
    this.rows.delete(task.id);
    this.placed.delete(task.id);
    if (task.requestKey !== null) this.requests.delete(task.requestKey);
  }

  list(query: TaskQuery): Promise<ListedTask[]> {
    const { status, from, to, limit, after, before } = query;
    const found = this.all()
      .filter((task) => TOLD_OF_TASK.every((name) => query[name] === undefined || task[name] === query[name]))
      .filter((task) => status === undefined || status.includes(task.status))
      .filter((task) => from === undefined || task.createdAt >= from)
      .filter((task) => to === undefined || task.createdAt < to)
      .sort((a, b) => (sortKey(a) < sortKey(b) ? 1 : -1))
      .filter((task) => after === undefined || sortKey(task) < placeOf(after))
      .filter((task) => before === undefined || sortKey(task) > placeOf(before));
    const page = before === undefined ? found.slice(0, limit) : found.slice(-limit);
    return Promise.resolve(page.map(fromListedRow));
  }

  listOpen(): Promise<OpenTask[]> {
    const open = this.all().filter(isOpen);
    return Promise.resolve(
      open.map(({ id, serviceType, status, capacityState, history, createdAt }) => ({
        id,
        serviceType,
        status,
        capacityState,
        since: history.at(-1)?.at ?? createdAt,
      })),
    );
  }

  listRunning(): Promise<RunningTask[]> {
    const running = this.all().filter(({ status }) => status === 'Running');
    return Promise.resolve(running.map((task) => runningTaskRow.parse(task)));
  }

  listLeases(limit: number, after?: Pick<TaskLease, 'createdAt' | 'id'>): Promise<TaskLease[]> {
    const leases = this.all()
      .filter((task) => !hasEnded(task) && ['held', 'lost'].includes(task.capacityState))
      .filter((task) => after === undefined || sortKey(task) > sortKey(after))
      .sort((a, b) => (sortKey(a) > sortKey(b) ? 1 : -1));
    return Promise.resolve(leases.slice(0, limit));
  }

  /** For tests. */
  all(): Task[] {
    return [...this.rows.values()].map(({ json }) => fromTaskRow(JSON.parse(json)));
  }

  private expect(id: string, version: string): void {
    if (String(this.rows.get(id)?.version) !== version) throw versionConflict();
  }

  private write(task: Task): void {
    this.writes += 1;
    if (task.placed && !hasEnded(task)) this.placed.set(task.id, task);
    else this.placed.delete(task.id);
    this.rows.set(task.id, { json: JSON.stringify(toTaskRow(task)), version: this.writes });
  }
}

function placesOf(tasks: readonly Task[]): Places {
  return tasks.reduce((places, { serviceType }) => changed(places, serviceType, 1), NO_PLACES);
}

function sortKey(task: Pick<Task, 'createdAt' | 'id'>): string {
  return placeOf(keysetOf(task));
}

function placeOf({ at, id }: Keyset): string {
  return `${at} ${id}`;
}
