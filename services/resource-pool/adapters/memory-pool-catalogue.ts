import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { isVisible, type Pool } from '../domain/pool';
import type { PoolCatalogue, PoolFilter, Remembered, StoredPool } from '../ports/pool-catalogue';

/** The catalogue in memory, with the same promises. */
export class MemoryPoolCatalogue implements PoolCatalogue {
  private readonly pools = new Map<string, StoredPool>();
  private readonly answers = new Map<string, Remembered>();
  private writes = 0;

  get(id: string): Promise<StoredPool | undefined> {
    return Promise.resolve(this.pools.get(id));
  }

  remembered(key: string): Promise<Remembered | undefined> {
    return Promise.resolve(this.answers.get(key));
  }

  async insert(pool: Pool, remember?: Remembered): Promise<void> {
    await Promise.resolve();
    if (this.pools.has(pool.id) || (remember && this.answers.has(remember.key)))
      throw new ConflictError('no item was updated');
    this.put(pool);
    if (remember) this.answers.set(remember.key, remember);
  }

  async replace(stored: StoredPool, next: Pool): Promise<StoredPool> {
    await Promise.resolve();
    this.demandUnchanged(stored);
    return this.put(next);
  }

  async remove(stored: StoredPool, forget?: string | null): Promise<void> {
    await Promise.resolve();
    this.demandUnchanged(stored);
    this.pools.delete(stored.pool.id);
    if (forget != null) this.answers.delete(forget);
  }

  list({ name, resourceType, location, state, labels = [], after, limit }: PoolFilter): Promise<Pool[]> {
    const order = (a: { createdAt: string; id: string }) => `${a.createdAt} ${a.id}`;
    const rows = [...this.pools.values()]
      .map(({ pool }) => pool)
      .filter(isVisible)
      .filter((pool) => name === undefined || pool.name === name)
      .filter((pool) => resourceType === undefined || pool.resourceType === resourceType)
      .filter((pool) => location === undefined || pool.location === location)
      .filter((pool) => state === undefined || pool.state === state)
      .filter((pool) => labels.every(([key, value]) => pool.labels[key] === value))
      .sort((a, b) => (order(a) < order(b) ? -1 : 1))
      .filter((pool) => after === undefined || order(pool) > `${after.at} ${after.id}`);
    return Promise.resolve(rows.slice(0, limit));
  }

  unsettled(before: string): Promise<string[]> {
    const left = [...this.pools.values()]
      .flatMap(({ pool: { id, pendingSince } }) =>
        pendingSince !== null && pendingSince < before ? [{ id, pendingSince }] : [],
      )
      .sort((a, b) => (a.pendingSince < b.pendingSince ? -1 : 1));
    return Promise.resolve(left.slice(0, 100).map(({ id }) => id));
  }

  private demandUnchanged(stored: StoredPool): void {
    if (this.pools.get(stored.pool.id)?.etag !== stored.etag) throw new ConflictError('possible etag mismatch');
  }

  private put(pool: Pool): StoredPool {
    this.writes += 1;
    const stored = { pool, etag: String(this.writes) };
    this.pools.set(pool.id, stored);
    return stored;
  }
}
