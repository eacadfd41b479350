import type { Sidecar } from '../../../shared/dapr/sidecar';
import type { Chunk } from '../domain/batch';
import type { DeadLetter } from '../domain/dead-letter';
import type { StoredUsage } from '../domain/usage-record';
import { keepArrivals } from './dapr-dead-letter-store';
import type { Page, UsageFilter, UsageInLedger, UsageStore } from '../ports/usage-store';
import { transacted } from './transacted';
import { chunkKey, correctedKey, IN_LEDGER, USAGE_KEY, usageKey } from './usage-schema';

const COLUMNS = `json_build_object('usage', usage_records.document, 'batch', batch.document,
  'correctedBy', usage_records.corrected_by,
  'deliveries', coalesce(deliveries.documents, '[]'))::text`;

/**
 * The store over the own sidecar: rows by the state store, lists by SQL. The rows are ours alone (their keys carry the
 * app-id), so what is read back has the shape that was written.
 */
export class DaprUsageStore implements UsageStore {
  constructor(private readonly sidecar: Sidecar) {}

  async find(ids: readonly string[]): Promise<Map<string, StoredUsage>> {
    const rows = await this.sidecar.get(ids.map(usageKey));
    const usages = [...rows.values()].map((row) => row.value as StoredUsage);
    return new Map(usages.map((usage) => [usage.record.id, usage]));
  }

  async insert(chunk: Chunk, usages: readonly StoredUsage[]): Promise<boolean> {
    return transacted(this.sidecar, [
      ...usages.map((value) => ({ upsert: usageKey(value.record.id), value, etag: null })),
      ...usages.flatMap(({ record }) =>
        record.version === 2 ? [{ upsert: correctedKey(record.corrects), value: { by: record.id }, etag: null }] : [],
      ),
      { upsert: chunkKey(chunk.id), value: chunk, etag: null },
    ]);
  }

  async get(id: string): Promise<UsageInLedger | null> {
    const sql = `SELECT ${COLUMNS} FROM usage_records ${IN_LEDGER} WHERE usage_records.key = $1`;
    return ((await this.sidecar.query(sql, [USAGE_KEY + id]))[0] as UsageInLedger | undefined) ?? null;
  }

  async list(filter: UsageFilter, { limit, after }: Page): Promise<UsageInLedger[]> {
    const params: string[] = [];
    const parameter = (value: string): string => `$${params.push(value)}`;
    const conditions = [
      filter.userId === undefined ? [] : `user_id = ${parameter(filter.userId)}`,
      filter.serviceType === undefined ? [] : `service_type = ${parameter(filter.serviceType)}`,
      filter.kind === undefined ? [] : `kind = ${parameter(filter.kind)}`,
      filter.from === undefined ? [] : `ended_at_text >= ${parameter(filter.from)}`,
      // not both: PostgreSQL may walk its index from the one to the other, page after page
      after !== undefined && (filter.to === undefined || after.at < filter.to)
        ? `(ended_at_text, id) < (${parameter(after.at)}, ${parameter(after.id)})`
        : filter.to === undefined
          ? []
          : `ended_at_text < ${parameter(filter.to)}`,
    ].flat();
    const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
    const page = `SELECT * FROM usage_records ${where} ORDER BY ended_at_text DESC, id DESC LIMIT ${limit}`;
    const sql = `SELECT ${COLUMNS} FROM (${page}) AS usage_records ${IN_LEDGER} ORDER BY ended_at_text DESC, id DESC`;
    return (await this.sidecar.query(sql, params)) as UsageInLedger[];
  }

  keepDeadLetters(letters: readonly DeadLetter[]): Promise<void> {
    return keepArrivals(this.sidecar, letters);
  }
}
