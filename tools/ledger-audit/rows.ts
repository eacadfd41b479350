import type { Client } from 'pg';

/** Rows of the state table as they lie there; an audit reads nothing by the services' own code. */
export interface Rows {
  /** Those that are there; what is no JSON is undefined. */
  get(keys: readonly string[]): Promise<Map<string, unknown>>;
  /** All rows of a kind (`blockchain-forwarder||usage:`), in pieces and in no order. */
  each(prefix: string): AsyncIterable<ReadonlyMap<string, unknown>>;
}

const FORWARDER = 'blockchain-forwarder||';
export const HEAD = `${FORWARDER}ledger-head`;
export const USAGE = `${FORWARDER}usage:`;
export const BATCH = `${FORWARDER}batch:`;
export const LEAVES = `${FORWARDER}leaves:`;
export const UNBATCHED = `${FORWARDER}unbatched:`;
export const LETTER = `${FORWARDER}dead:`;
export const SINK = `${FORWARDER}sink:`;
export const PROGRESS = `${FORWARDER}progress:`;
export const TASK = 'task-runner||task:';
export const ALLOCATION = 'allocation||allocation:';
export const OUTBOXES = ['task-runner||outbox:', 'allocation||outbox:'];

/** So many rows of a record's size are a few megabytes. */
export const PAGE = 2_000;

/** Rows by PostgreSQL, in the transaction that the client is in: one that reads one moment (`REPEATABLE READ`). */
export class DatabaseRows implements Rows {
  private cursors = 0;

  constructor(private readonly client: Client) {}

  async get(keys: readonly string[]): Promise<Map<string, unknown>> {
    const found = new Map<string, unknown>();
    for (let start = 0; start < keys.length; start += PAGE) {
      const { rows } = await this.client.query<Row>(`${COLUMNS} WHERE key = ANY($1)`, [
        keys.slice(start, start + PAGE),
      ]);
      for (const { key, text } of rows) found.set(key, parsed(text));
    }
    return found;
  }

  async *each(prefix: string): AsyncIterable<ReadonlyMap<string, unknown>> {
    this.cursors += 1;
    const cursor = `audit_${this.cursors}`;
    await this.client.query(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${COLUMNS} WHERE key LIKE '${prefix}%'`);
    for (;;) {
      const { rows } = await this.client.query<Row>(`FETCH ${PAGE} FROM ${cursor}`);
      if (rows.length === 0) break;
      yield new Map(rows.map(({ key, text }) => [key, parsed(text)]));
    }
    await this.client.query(`CLOSE ${cursor}`);
  }
}

interface Row {
  key: string;
  text: string;
}

const COLUMNS = `SELECT key, convert_from(value, 'UTF8') AS text FROM state`;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
