import type { Keyset } from '../../../shared/http/paging';
import type { Pool } from '../domain/pool';

/** A pool as it was read, with the version that a write must find unchanged. */
export interface StoredPool {
  pool: Pool;
  etag: string;
}

/** The answer that an Idempotency-Key stands for. */
export interface Remembered {
  key: string;
  fingerprint: string;
  poolId: string;
}

export interface PoolFilter {
  name?: string | undefined;
  resourceType?: string | undefined;
  location?: string | undefined;
  state?: Pool['state'] | undefined;
  /** Each of them, with that value. */
  labels?: readonly (readonly [key: string, value: string])[] | undefined;
  after?: Keyset | undefined;
  limit: number;
}

/** Where the catalogue is kept. Writes throw ConflictError when somebody else was first; all throw `unavailable`. */
export interface PoolCatalogue {
  get(id: string): Promise<StoredPool | undefined>;
  remembered(key: string): Promise<Remembered | undefined>;
  /** Both or none; fails when the key is remembered already. */
  insert(pool: Pool, remember?: Remembered): Promise<void>;
  /** @returns the pool as it was written; should somebody have changed it since, the next write with it fails */
  replace(stored: StoredPool, next: Pool): Promise<StoredPool>;
  /** @param forget the key whose answer goes with the pool, so that the request may be made anew */
  remove(stored: StoredPool, forget?: string | null): Promise<void>;
  /** Visible pools, oldest first, behind `after`. */
  list(filter: PoolFilter): Promise<Pool[]>;
  /** Ids of pools whose pending change began before `before`, the longest pending first; a hundred at most. */
  unsettled(before: string): Promise<string[]>;
}
