import { ConflictError, type Sidecar, type StateOperation } from '../../../shared/dapr/sidecar';
import type { DeadLetter } from '../domain/dead-letter';
import type { Delivery } from '../domain/delivery';
import type { StoredUsage } from '../domain/usage-record';
import type { Page, UsageFilter, UsageStore, UsageWithDeliveries, VersionedDelivery } from '../ports/usage-store';
import { DEAD_LETTER, DELIVERY, IS_DEAD_LETTER, IS_DELIVERY, USAGE_KEY } from './usage-schema';

/** Of a record `usage_records.document`, with its deliveries. */
const WITH_DELIVERIES = `json_build_object('usage', document, 'deliveries', (
  SELECT coalesce(json_agg(state_json(value)), '[]') FROM state
  WHERE ${IS_DELIVERY} AND ${DELIVERY.usageId} = usage_records.id))::text`;

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

  insert(usages: readonly StoredUsage[], deliveries: readonly Delivery[]): Promise<boolean> {
    return this.write([
      ...usages.map((value) => ({ upsert: usageKey(value.record.id), value, etag: null })),
      ...deliveries.map((value) => ({ upsert: deliveryKey(value), value, etag: null })),
    ]);
  }

  async get(id: string): Promise<UsageWithDeliveries | null> {
    const usage = (await this.find([id])).get(id);
    if (!usage) return null;
    const sql = `SELECT state_json(value)::text FROM state WHERE ${IS_DELIVERY} AND ${DELIVERY.usageId} = $1`;
    return { usage, deliveries: (await this.sidecar.query(sql, [id])) as Delivery[] };
  }

  async list(filter: UsageFilter, { limit, after }: Page): Promise<UsageWithDeliveries[]> {
    const params: string[] = [];
    const parameter = (value: string): string => `$${params.push(value)}`;
    const conditions = [
      filter.userId === undefined ? [] : `user_id = ${parameter(filter.userId)}`,
      filter.serviceType === undefined ? [] : `service_type = ${parameter(filter.serviceType)}`,
      filter.kind === undefined ? [] : `kind = ${parameter(filter.kind)}`,
      filter.from === undefined ? [] : `ended_at_text >= ${parameter(filter.from)}`,
      filter.to === undefined ? [] : `ended_at_text < ${parameter(filter.to)}`,
      after === undefined ? [] : `(ended_at_text, id) < (${parameter(after.at)}, ${parameter(after.id)})`,
    ].flat();
    const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
    const sql = `SELECT ${WITH_DELIVERIES} FROM usage_records ${where} ORDER BY ended_at_text DESC, id DESC LIMIT ${limit}`;
    return (await this.sidecar.query(sql, params)) as UsageWithDeliveries[];
  }

  async due(
    sink: string,
    { now, until }: { now: string; until: string },
    limit: number,
  ): Promise<(VersionedDelivery & { usage: StoredUsage })[]> {
    const sql = `SELECT json_build_object('delivery', state_json(due.value), 'version', due.etag::text, 'usage', state_json(usage.value))::text
      FROM (SELECT value, etag, ${DELIVERY.nextAttemptAt} AS at, ${DELIVERY.usageId} AS usage_id FROM state
        WHERE ${IS_DELIVERY} AND ${DELIVERY.isOpen} AND ${DELIVERY.sink} = $1 AND ${DELIVERY.nextAttemptAt} <= $2
          AND (${DELIVERY.claim} IS NULL OR ${DELIVERY.nextAttemptAt} <= $3)
        ORDER BY ${DELIVERY.nextAttemptAt} LIMIT ${limit}) AS due
      JOIN state AS usage ON usage.key = '${USAGE_KEY}' || due.usage_id ORDER BY due.at`;
    return (await this.sidecar.query(sql, [sink, until, now])) as (VersionedDelivery & { usage: StoredUsage })[];
  }

  async deliveries(sink: string, usageIds: readonly string[]): Promise<Map<string, VersionedDelivery>> {
    const rows = await this.sidecar.get(usageIds.map((usageId) => deliveryKey({ sink, usageId })));
    return new Map(
      [...rows.values()].map(({ value, etag }) => {
        const delivery = value as Delivery;
        return [delivery.usageId, { delivery, version: etag }];
      }),
    );
  }

  update(deliveries: readonly VersionedDelivery[]): Promise<boolean> {
    return this.write(
      deliveries.map(({ delivery, version }) => ({ upsert: deliveryKey(delivery), value: delivery, etag: version })),
    );
  }

  async backlog(): Promise<Record<string, number>> {
    const sql = `SELECT json_build_object('sink', ${DELIVERY.sink}, 'count', count(*))::text FROM state
      WHERE ${IS_DELIVERY} AND ${DELIVERY.isOpen} GROUP BY ${DELIVERY.sink}`;
    const rows = (await this.sidecar.query(sql, [])) as { sink: string; count: number }[];
    return Object.fromEntries(rows.map(({ sink, count }) => [sink, count]));
  }

  async keepDeadLetters(letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return;
    await this.sidecar.transact(letters.map((value) => ({ upsert: `dead:${value.id}`, value })));
  }

  async listDeadLetters({ limit, after }: Page): Promise<DeadLetter[]> {
    const behind = after === undefined ? '' : `AND (${DEAD_LETTER.receivedAt}, ${DEAD_LETTER.id}) < ($1, $2)`;
    const sql = `SELECT state_json(value)::text FROM state WHERE ${IS_DEAD_LETTER} ${behind}
      ORDER BY ${DEAD_LETTER.receivedAt} DESC, ${DEAD_LETTER.id} DESC LIMIT ${limit}`;
    return (await this.sidecar.query(sql, after === undefined ? [] : [after.at, after.id])) as DeadLetter[];
  }

  private async write(operations: readonly StateOperation[]): Promise<boolean> {
    if (operations.length === 0) return true;
    try {
      await this.sidecar.transact(operations);
      return true;
    } catch (error) {
      if (error instanceof ConflictError) return false;
      throw error;
    }
  }
}

function usageKey(id: string): string {
  return `usage:${id}`;
}

function deliveryKey({ sink, usageId }: { sink: string; usageId: string }): string {
  return `delivery:${sink}:${usageId}`;
}
