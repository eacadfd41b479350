import { outboxRow, outboxSchema } from '../../../shared/dapr/outbox';
import type { Sidecar, StateOperation, StateRow } from '../../../shared/dapr/sidecar';
import { IDEMPOTENCY_TTL_SECONDS } from '../../../shared/http/conditions';
import type { PoolFact, Remembered } from '../domain/pool-commands';
import type { Allocation, ReleasedAllocation } from '../domain/inventory';
import type { HistoryFilter, PoolSnapshot, PoolStore } from '../ports/pool-store';
import {
  allocationRow,
  eventOf,
  inventoryRow,
  releasedRow,
  rememberedRow,
  toAllocationRow,
  toInventoryRow,
  toReleasedRow,
  toRememberedRow,
} from './rows';

const APP = 'allocation';
/** A tombstone outlives every opening that may still be on its way. */
const TOMBSTONE_TTL_SECONDS = 86_400;

const inventoryKey = (poolId: string) => `inventory:${poolId}`;
const allocationKey = (id: string) => `allocation:${id}`;
const releasedKey = (id: string) => `released:${id}`;
const rememberedKey = (id: string) => `idempotency:${id}`;

/** Views and indexes over the state table; the index of a list has the list's own order. */
export const SCHEMA = `
CREATE OR REPLACE VIEW allocations AS
  SELECT state_json(value)->>'id' AS id, state_json(value)->>'resource_pool_id' AS resource_pool_id,
         state_json(value)->>'service_id' AS service_id, (state_json(value)->>'allocated_capacity')::bigint AS allocated_capacity,
         state_json(value)->>'created_at' AS created_at, state_json(value)->>'task_id' AS task_id, state_json(value) AS row
  FROM state WHERE key LIKE '${APP}||allocation:%';
CREATE OR REPLACE VIEW inventories AS
  SELECT state_json(value)->>'pool_id' AS pool_id, (state_json(value)->>'total')::bigint AS total,
         (state_json(value)->>'allocated')::bigint AS allocated, state_json(value)->>'state' AS state,
         floor(((state_json(value)->>'total')::numeric - coalesce((state_json(value)->>'reserved')::numeric, 0))
               * coalesce((state_json(value)->>'allocation_ratio')::numeric, 1)) AS capacity,
         coalesce((state_json(value)->>'over_allowed')::boolean, false) AS over_allowed, state_json(value) AS row
  FROM state WHERE key LIKE '${APP}||inventory:%';
CREATE INDEX IF NOT EXISTS state_allocations_by_pool ON state
  ((state_json(value)->>'resource_pool_id'), (state_json(value)->>'created_at'), (state_json(value)->>'id'))
  WHERE key LIKE '${APP}||allocation:%';
CREATE INDEX IF NOT EXISTS state_allocations_by_service ON state
  ((state_json(value)->>'resource_pool_id'), (state_json(value)->>'service_id'), (state_json(value)->>'created_at'), (state_json(value)->>'id'))
  WHERE key LIKE '${APP}||allocation:%';
CREATE OR REPLACE VIEW allocation_history AS
  SELECT state_json(value)->>'id' AS id, state_json(value)->>'resource_pool_id' AS resource_pool_id,
         state_json(value)->>'service_id' AS service_id, (state_json(value)->>'allocated_capacity')::bigint AS allocated_capacity,
         state_json(value)->>'created_at' AS created_at, state_json(value)->>'released_at' AS released_at,
         state_json(value)->>'end_reason' AS end_reason, state_json(value) AS row
  FROM state WHERE key LIKE '${APP}||released:%';
CREATE INDEX IF NOT EXISTS state_released_by_pool ON state
  ((state_json(value)->>'resource_pool_id'), (state_json(value)->>'released_at'), (state_json(value)->>'id'))
  WHERE key LIKE '${APP}||released:%';
CREATE INDEX IF NOT EXISTS state_released_by_service ON state
  ((state_json(value)->>'resource_pool_id'), (state_json(value)->>'service_id'), (state_json(value)->>'released_at'), (state_json(value)->>'id'))
  WHERE key LIKE '${APP}||released:%';
${outboxSchema(APP)}`;

/** Inventories and allocations in Dapr's state store; lists through the PostgreSQL binding. */
export class DaprPoolStore implements PoolStore {
  constructor(private readonly sidecar: Sidecar) {}

  async read(
    poolId: string,
    allocationIds: readonly string[],
    rememberedIds: readonly string[],
  ): Promise<PoolSnapshot> {
    const rows = await this.sidecar.get([
      inventoryKey(poolId),
      ...allocationIds.map(allocationKey),
      ...rememberedIds.map(rememberedKey),
    ]);
    const inventory = rows.get(inventoryKey(poolId));
    const allocations = new Map<string, Allocation>();
    for (const id of allocationIds) {
      const row = rows.get(allocationKey(id));
      const allocation = row && allocationRow.parse(row.value);
      // an id that belongs to another pool is unknown in this one
      if (allocation?.poolId === poolId) allocations.set(id, allocation);
    }
    const remembered = new Map<string, Remembered>();
    for (const id of rememberedIds) {
      const row = rows.get(rememberedKey(id));
      if (row) remembered.set(id, rememberedRow.parse(row.value));
    }
    return {
      poolId,
      inventory: inventory && inventoryRow.parse(inventory.value),
      allocations,
      remembered,
      versions: rows,
    };
  }

  async commit(
    snapshot: PoolSnapshot,
    { facts, inventory }: { facts: PoolFact[]; inventory: PoolSnapshot['inventory'] },
  ): Promise<void> {
    const rows = snapshot.versions as Map<string, StateRow>;
    const etag = (key: string): string | null => rows.get(key)?.etag ?? null;
    const operations: StateOperation[] = [];
    if (inventory) {
      const key = inventoryKey(snapshot.poolId);
      const ttl = inventory.state === 'closed' ? { ttlSeconds: TOMBSTONE_TTL_SECONDS } : {};
      operations.push({ upsert: key, value: toInventoryRow(inventory), etag: etag(key), ...ttl });
    }
    for (const fact of facts) operations.push(...this.operationsOf(fact, etag));
    await this.sidecar.transact(cancelledOut(operations));
  }

  private operationsOf(fact: PoolFact, etag: (key: string) => string | null): StateOperation[] {
    if (fact.kind === 'remembered') return [rememberOperation(fact.id, fact.answer)];
    const event = eventOf(fact);
    const key = allocationKey(fact.allocation.id);
    if (fact.kind === 'allocated')
      return [{ upsert: key, value: toAllocationRow(fact.allocation), etag: null }, outboxRow(event)];
    const version = etag(key);
    const { releasedAt, releasedBy, reason } = fact;
    const row = toReleasedRow({ ...fact.allocation, releasedAt, releasedBy, reason });
    return [
      { remove: key, ...(version === null ? {} : { etag: version }) },
      { upsert: releasedKey(fact.allocation.id), value: row },
      outboxRow(event),
    ];
  }

  async allocation(id: string): Promise<Allocation | undefined> {
    const row = (await this.sidecar.get([allocationKey(id)])).get(allocationKey(id));
    return row && allocationRow.parse(row.value);
  }

  async remembered(id: string): Promise<Remembered | undefined> {
    const row = (await this.sidecar.get([rememberedKey(id)])).get(rememberedKey(id));
    return row && rememberedRow.parse(row.value);
  }

  remember(id: string, answer: Remembered): Promise<void> {
    return this.sidecar.transact([rememberOperation(id, answer)]);
  }

  async inventories(poolIds: readonly string[]) {
    const rows = await this.sidecar.get(poolIds.map(inventoryKey));
    return [...rows.values()].map((row) => inventoryRow.parse(row.value));
  }

  async listAllocations({
    poolId,
    serviceId,
    after,
    limit,
  }: Parameters<PoolStore['listAllocations']>[0]): Promise<Allocation[]> {
    const params: unknown[] = [poolId];
    let where = 'resource_pool_id = $1';
    if (serviceId !== undefined) where += ` AND service_id = $${params.push(serviceId)}`;
    if (after) where += ` AND (created_at, id) > ($${params.push(after.at)}, $${params.push(after.id)})`;
    const sql = `SELECT row::text FROM allocations WHERE ${where} ORDER BY created_at, id LIMIT ${Math.trunc(limit)}`;
    return (await this.sidecar.query(sql, params)).map((row) => allocationRow.parse(row));
  }

  async listReleased(filter: HistoryFilter): Promise<ReleasedAllocation[]> {
    const { poolId, serviceId, reason, from, to, after, limit } = filter;
    const params: unknown[] = [poolId];
    let where = 'resource_pool_id = $1';
    if (serviceId !== undefined) where += ` AND service_id = $${params.push(serviceId)}`;
    if (reason !== undefined) where += ` AND end_reason = $${params.push(reason)}`;
    if (from !== undefined) where += ` AND released_at >= $${params.push(from)}`;
    if (to !== undefined) where += ` AND released_at < $${params.push(to)}`;
    if (after) where += ` AND (released_at, id) < ($${params.push(after.at)}, $${params.push(after.id)})`;
    const order = 'ORDER BY released_at DESC, id DESC';
    const sql = `SELECT row::text FROM allocation_history WHERE ${where} ${order} LIMIT ${Math.trunc(limit)}`;
    return (await this.sidecar.query(sql, params)).map((row) => releasedRow.parse(row));
  }
}

function rememberOperation(id: string, answer: Remembered): StateOperation {
  return { upsert: rememberedKey(id), value: toRememberedRow(answer), etag: null, ttlSeconds: IDEMPOTENCY_TTL_SECONDS };
}

/** An allocation made and released in one batch leaves no row, only its two events. */
function cancelledOut(operations: StateOperation[]): StateOperation[] {
  const inserted = new Set(operations.flatMap((op) => ('upsert' in op ? [op.upsert] : [])));
  const removed = new Set(operations.flatMap((op) => ('remove' in op && inserted.has(op.remove) ? [op.remove] : [])));
  return removed.size === 0
    ? operations
    : operations.filter((op) => !removed.has('upsert' in op ? op.upsert : op.remove));
}
