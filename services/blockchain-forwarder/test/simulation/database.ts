import { ConflictError } from '../../../../shared/dapr/sidecar-error';
import { keyOf, type Sidecar, type StateOperation, type StateRow } from '../../../../shared/dapr/sidecar';
import type { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import { FINAL_STAGES, type Delivery } from '../../domain/delivery';
import type { Chunk } from '../../domain/batch';

/** What the forwarder's stores need of their sidecar. */
export type StateSide = Pick<Sidecar, 'get' | 'transact' | 'query'>;

interface Row {
  /** As it is stored. */
  text: string;
  etag: string;
  /** When the transaction began that inserted it: PostgreSQL's `now()`. */
  createdAt: number;
}

/** One row that a transaction changed. */
export interface Written {
  key: string;
  before: string | undefined;
  after: string | undefined;
}

export interface Transaction {
  /** The process that it came from. */
  by: string;
  written: Written[];
}

/**
 * The state store as Dapr makes it of PostgreSQL: rows of JSON under keys, an ETag each, transactions that are carried out
 * as a whole or refused, and the statements of the stores, whose meaning is told here once more.
 */
export class Database {
  readonly rows = new Map<string, Row>();
  /** Transactions that have begun. */
  underWay = 0;
  private etags = 0;
  private committed: Transaction[] = [];

  constructor(
    private readonly scheduler: Scheduler,
    private readonly count: (what: string) => void,
  ) {}

  /** The database for one process. */
  sideOf(by: string): StateSide {
    return {
      get: async (keys) => new Map(keys.flatMap((key) => this.read(key))),
      transact: (operations) => this.transact(by, operations),
      query: async (sql, params) => JSON.parse(JSON.stringify(this.select(sql, params))) as unknown[],
    };
  }

  /** What was committed since this was asked last. */
  takeCommitted(): Transaction[] {
    const taken = this.committed;
    this.committed = [];
    return taken;
  }

  private read(key: string): [string, StateRow][] {
    const row = this.rows.get(key);
    return row ? [[key, { value: JSON.parse(row.text) as unknown, etag: row.etag }]] : [];
  }

  /** Versions are looked at when it commits: whoever holds a row's lock before decides. */
  private async transact(by: string, operations: readonly StateOperation[]): Promise<void> {
    const createdAt = this.scheduler.elapsed;
    this.underWay += 1;
    await this.scheduler.sleep(this.scheduler.between(0.1, 3), `${by} commits`);
    this.underWay -= 1;
    const refused = operations.find((operation) => !this.allows(operation));
    if (refused) this.count(`refused: ${keyOf(refused).split(':')[0]}`);
    if (refused) throw new ConflictError(`${keyOf(refused)} is not as it was read`);
    const written = operations.map((operation) => this.write(operation, createdAt));
    this.committed.push({ by, written });
  }

  private allows(operation: StateOperation): boolean {
    const { etag } = operation;
    return etag === undefined || (this.rows.get(keyOf(operation))?.etag ?? null) === etag;
  }

  private write(operation: StateOperation, now: number): Written {
    const key = keyOf(operation);
    const before = this.rows.get(key);
    if ('remove' in operation) {
      this.rows.delete(key);
      return { key, before: before?.text, after: undefined };
    }
    this.etags += 1;
    const text = JSON.stringify(operation.value);
    this.rows.set(key, { text, etag: String(this.etags), createdAt: before?.createdAt ?? now });
    return { key, before: before?.text, after: text };
  }

  private select(sql: string, params: readonly unknown[]): unknown[] {
    if (sql.includes('||unbatched:')) return this.unbatched(params as [number, number]);
    if (sql.includes('||delivery:') && sql.includes('$2')) return this.open(params as [string, string]);
    throw new Error(`the database does not know what this means: ${sql}`);
  }

  /** The statement of DaprLedgerStore. */
  private unbatched([count, bytes]: [number, number]): { chunk: Chunk; over: boolean }[] {
    let sum = { count: 0, bytes: 0 };
    return this.all('unbatched:')
      .sort((a, b) => a.createdAt - b.createdAt || (a.key < b.key ? -1 : 1))
      .slice(0, 2_000)
      .flatMap(({ text }, place) => {
        const chunk = JSON.parse(text) as Chunk;
        const before = sum.count;
        sum = { count: sum.count + chunk.entries.length, bytes: sum.bytes + chunk.bytes };
        return place === 0 || before <= count ? [{ chunk, over: sum.count > count || sum.bytes > bytes }] : [];
      });
  }

  /** The statement of DaprSinkStore. */
  private open([sink, place]: [string, string]): unknown[] {
    return this.all(`delivery:${sink}:`)
      .map(({ text }) => JSON.parse(text) as Delivery)
      .filter((delivery) => delivery.place === place && !FINAL_STAGES.includes(delivery.stage))
      .sort((a, b) => a.batchId - b.batchId)
      .map((delivery) => {
        const {
          chunks: _,
          nodes: __,
          ...batch
        } = JSON.parse(this.rows.get(`batch:${delivery.batchId}`)?.text ?? '{}') as Record<string, unknown>;
        const progress = this.rows.get(`progress:${sink}:${delivery.batchId}`)?.text ?? 'null';
        return { delivery, batch, progress: JSON.parse(progress) as unknown };
      });
  }

  private all(prefix: string): (Row & { key: string })[] {
    return [...this.rows].flatMap(([key, row]) => (key.startsWith(prefix) ? [{ ...row, key }] : []));
  }
}
