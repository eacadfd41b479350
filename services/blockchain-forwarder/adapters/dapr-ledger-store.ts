import type { Sidecar } from '../../../shared/dapr/sidecar';
import type { Batch, Chunk, Entry } from '../domain/batch';
import { EMPTY_LEDGER, type FullSubtree, type LedgerHead } from '../domain/ledger-tree';
import type { StoredUsage } from '../domain/usage-record';
import type { ClosedBatch, LedgerStore, Versioned } from '../ports/ledger-store';
import { transacted } from './transacted';
import { batchKey, CHUNK, chunkKey, HEAD_KEY, IS_CHUNK, leavesKey, usageKey } from './usage-schema';

/** A batch's row: what is anchored, and what the ledger needs of it. */
interface BatchRow extends Batch {
  /** Ids: a record names the chunk that it came with. */
  chunks: string[];
  nodes: readonly string[];
}

/** The ledger over the own sidecar. */
export class DaprLedgerStore implements LedgerStore {
  constructor(private readonly sidecar: Sidecar) {}

  async head(): Promise<Versioned<LedgerHead>> {
    const row = (await this.sidecar.get([HEAD_KEY])).get(HEAD_KEY);
    return row ? { value: row.value as LedgerHead, version: row.etag } : { value: EMPTY_LEDGER, version: null };
  }

  async unbatched({ count, bytes }: { count: number; bytes: number }): Promise<{ chunks: Chunk[]; more: boolean }> {
    // sums before each row: the first that is over shows that there are more
    const order = 'OVER (ORDER BY created_at, key)';
    const sql = `SELECT json_build_object('chunk', chunk, 'over', count > $1 OR bytes > $2)::text FROM (
      SELECT chunk, created_at, key,
        sum(${CHUNK.count}) ${order} AS count, sum(${CHUNK.bytes}) ${order} AS bytes,
        row_number() ${order} AS place, sum(${CHUNK.count}) ${order} - ${CHUNK.count} AS before
      FROM (SELECT ${CHUNK.document} AS chunk, created_at, key FROM state WHERE ${IS_CHUNK}
        ORDER BY created_at, key LIMIT 2000) AS oldest) AS waiting
      WHERE place = 1 OR before <= $1 ORDER BY created_at, key`;
    const rows = (await this.sidecar.query(sql, [count, bytes])) as { chunk: Chunk; over: boolean }[];
    const fitting = rows.filter(({ over }, index) => index === 0 || !over);
    return { chunks: fitting.map(({ chunk }) => chunk), more: fitting.length < rows.length };
  }

  async close({ batch, chunks, nodes, head }: ClosedBatch, version: string | null): Promise<boolean> {
    const row: BatchRow = { ...batch, chunks: chunks.map(({ id }) => id), nodes };
    const entries = chunks.flatMap((chunk) => chunk.entries);
    return transacted(this.sidecar, [
      { upsert: HEAD_KEY, value: head, etag: version },
      { upsert: batchKey(batch.batchId), value: row, etag: null },
      { upsert: leavesKey(batch.batchId), value: entries, etag: null },
      // whoever takes chunks writes the head, so nobody else has taken these
      ...chunks.map(({ id }) => ({ remove: chunkKey(id) })),
    ]);
  }

  async batches(batchIds: readonly number[]): Promise<Batch[]> {
    return (await this.rows(batchIds)).map(({ chunks: _, nodes: __, ...batch }) => batch);
  }

  async entries(batchId: number): Promise<readonly Entry[]> {
    const key = leavesKey(batchId);
    const row = (await this.sidecar.get([key])).get(key);
    return row ? (row.value as Entry[]) : [];
  }

  async records(batchId: number): Promise<StoredUsage[]> {
    const keys = (await this.entries(batchId)).map(([id]) => usageKey(id));
    const rows = await this.sidecar.get(keys);
    return keys.map((key) => {
      const row = rows.get(key);
      if (!row) throw new Error(`batch ${batchId} names a record that is not there: ${key}`);
      return row.value as StoredUsage;
    });
  }

  async nodes(subtrees: readonly FullSubtree[]): Promise<string[]> {
    const rows = await this.rows(subtrees.map(({ batchId }) => batchId));
    const byId = new Map(rows.map((row) => [row.batchId, row.nodes]));
    return subtrees.map(({ batchId, height }) => {
      const node = byId.get(batchId)?.[height];
      if (node === undefined) throw new Error(`batch ${batchId} has no node of height ${height}`);
      return node;
    });
  }

  private async rows(batchIds: readonly number[]): Promise<BatchRow[]> {
    const rows = await this.sidecar.get(batchIds.map(batchKey));
    return batchIds.flatMap((batchId) => (rows.get(batchKey(batchId))?.value as BatchRow | undefined) ?? []);
  }
}
