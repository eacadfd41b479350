import type { CloudEvent } from '../../../shared/contracts/events';
import { outboxRows, outboxSchema } from '../../../shared/dapr/outbox';
import { keyOf, type Sidecar, type StateOperation, type StateRow } from '../../../shared/dapr/sidecar';
import { IDEMPOTENCY_TTL_SECONDS } from '../../../shared/http/conditions';
import type { Decision, PoolFact, Remembered } from '../domain/pool-commands';
import { type Allocation, isOpen, type OpenInventory, type ReleasedAllocation } from '../domain/inventory';
import type { Kind } from '../domain/placement';
import type { AllocationRequest } from '../domain/queue';
import type { HistoryFilter, PoolStore, Snapshot, Wanted } from '../ports/pool-store';
import {
  allocationRow,
  eventOf,
  inventoryRow,
  releasedRow,
  rememberedRow,
  requestRow,
  toAllocationRow,
  toInventoryRow,
  toReleasedRow,
  toRememberedRow,
  toRequestRow,
} from './rows';

const APP = 'allocation';
/** A tombstone outlives every opening that may still be on its way. */
const TOMBSTONE_TTL_SECONDS = 86_400;

const inventoryKey = (poolId: string) => `inventory:${poolId}`;
const allocationKey = (id: string) => `allocation:${id}`;
const rememberedKey = (id: string) => `idempotency:${id}`;
const requestKey = (id: string) => `request:${id}`;
/** What became of a request can be read so long. */
const ENDED_REQUEST_TTL_SECONDS = 86_400;

/** What an allocation's row is: held, or, changed by its release, history. */
const HELD = `key LIKE '${APP}||allocation:%' AND state_json(value)->>'released_at' IS NULL`;
const ENDED = `key LIKE '${APP}||allocation:%' AND state_json(value)->>'released_at' IS NOT NULL`;
/** Indexes of an earlier version: each costs every write of every service. */
const LEFT_BEHIND = ['allocations_by_pool', 'allocations_by_service', 'allocations_by_expiry', 'allocations_by_group']
  .concat(['released_by_pool', 'released_by_service'])
  .map((name) => `DROP INDEX IF EXISTS state_${name};\n`)
  .join('');

/**
 * Views and indexes over the state table; the index of a list has the list's own order. `document` is the row as it was written:
 * a list need not have it parsed and written anew. Labels of inventories have none: every
 * grant writes one of those rows, and kind and place leave few to compare.
 */
export const SCHEMA = `
CREATE OR REPLACE VIEW allocations AS
  SELECT state_json(value)->>'id' AS id, state_json(value)->>'resource_pool_id' AS resource_pool_id,
         state_json(value)->>'service_id' AS service_id, (state_json(value)->>'allocated_capacity')::bigint AS allocated_capacity,
         state_json(value)->>'created_at' AS created_at, state_json(value)->>'task_id' AS task_id, state_json(value) AS row,
         convert_from(value, 'UTF8') AS document
  FROM state WHERE ${HELD};
CREATE OR REPLACE VIEW inventories AS
  SELECT state_json(value)->>'pool_id' AS pool_id, (state_json(value)->>'total')::bigint AS total,
         (state_json(value)->>'allocated')::bigint AS allocated, state_json(value)->>'state' AS state,
         floor(((state_json(value)->>'total')::numeric - coalesce((state_json(value)->>'reserved')::numeric, 0))
               * coalesce((state_json(value)->>'allocation_ratio')::numeric, 1)) AS capacity,
         coalesce((state_json(value)->>'over_allowed')::boolean, false) AS over_allowed, state_json(value) AS row
  FROM state WHERE key LIKE '${APP}||inventory:%';
${LEFT_BEHIND}CREATE INDEX IF NOT EXISTS state_held_by_pool ON state
  ((state_json(value)->>'resource_pool_id'), (state_json(value)->>'created_at'), (state_json(value)->>'id'))
  WHERE ${HELD};
CREATE INDEX IF NOT EXISTS state_held_by_service ON state
  ((state_json(value)->>'resource_pool_id'), (state_json(value)->>'service_id'), (state_json(value)->>'created_at'), (state_json(value)->>'id'))
  WHERE ${HELD};
CREATE OR REPLACE VIEW allocation_history AS
  SELECT state_json(value)->>'id' AS id, state_json(value)->>'resource_pool_id' AS resource_pool_id,
         state_json(value)->>'service_id' AS service_id, (state_json(value)->>'allocated_capacity')::bigint AS allocated_capacity,
         state_json(value)->>'created_at' AS created_at, state_json(value)->>'released_at' AS released_at,
         state_json(value)->>'end_reason' AS end_reason, state_json(value) AS row,
         convert_from(value, 'UTF8') AS document
  FROM state WHERE ${ENDED};
CREATE INDEX IF NOT EXISTS state_ended_by_pool ON state
  ((state_json(value)->>'resource_pool_id'), (state_json(value)->>'released_at'), (state_json(value)->>'id'))
  WHERE ${ENDED};
CREATE INDEX IF NOT EXISTS state_ended_by_service ON state
  ((state_json(value)->>'resource_pool_id'), (state_json(value)->>'service_id'), (state_json(value)->>'released_at'), (state_json(value)->>'id'))
  WHERE ${ENDED};
CREATE INDEX IF NOT EXISTS state_held_by_expiry ON state ((state_json(value)->>'expires_at'))
  WHERE ${HELD} AND state_json(value)->>'expires_at' IS NOT NULL;
CREATE INDEX IF NOT EXISTS state_held_by_group ON state ((state_json(value)->>'group_id'))
  WHERE ${HELD} AND state_json(value)->>'group_id' IS NOT NULL;
CREATE OR REPLACE VIEW allocation_requests AS
  SELECT state_json(value)->>'id' AS id, state_json(value)->>'resource_pool_id' AS resource_pool_id,
         state_json(value)->>'status' AS status, state_json(value) AS row
  FROM state WHERE key LIKE '${APP}||request:%' AND (expires_at IS NULL OR expires_at > now());
CREATE INDEX IF NOT EXISTS state_inventories_by_waiting ON state ((state_json(value)->>'waiting_until'))
  WHERE key LIKE '${APP}||inventory:%' AND state_json(value)->>'waiting_until' IS NOT NULL;
CREATE INDEX IF NOT EXISTS state_inventories_by_kind ON state
  ((state_json(value)->>'resource_type'), (state_json(value)->>'location')) WHERE key LIKE '${APP}||inventory:%';
${outboxSchema(APP)}`;

/** Inventories and allocations in Dapr's state store; lists through the PostgreSQL binding. */
export class DaprPoolStore implements PoolStore {
  constructor(
    private readonly sidecar: Sidecar,
    /** Hears of the events of each transaction once it is committed. */
    private readonly committed: (events: readonly CloudEvent[]) => void = () => undefined,
  ) {}

  async read({ poolIds, allocationIds, rememberedIds, requestIds }: Wanted): Promise<Snapshot> {
    const rows = await this.sidecar.get([
      ...poolIds.map(inventoryKey),
      ...allocationIds.map(allocationKey),
      ...rememberedIds.map(rememberedKey),
      ...requestIds.map(requestKey),
    ]);
    function found<T>(
      ids: readonly string[],
      key: (id: string) => string,
      parse: (value: unknown) => T,
    ): Map<string, T> {
      return new Map(
        ids.flatMap((id) => {
          const row = rows.get(key(id));
          return row ? [[id, parse(row.value)] as const] : [];
        }),
      );
    }
    const ended = new Set(allocationIds.filter((id) => isReleased(rows.get(allocationKey(id)))));
    const held = allocationIds.filter((id) => !ended.has(id));
    return {
      inventories: found(poolIds, inventoryKey, (value) => inventoryRow.parse(value)),
      allocations: found(held, allocationKey, (value) => allocationRow.parse(value)),
      remembered: found(rememberedIds, rememberedKey, (value) => rememberedRow.parse(value)),
      ended,
      requests: found(requestIds, requestKey, (value) => requestRow.parse(value)),
      versions: rows,
    };
  }

  async commit(snapshot: Snapshot, { facts, inventories }: Pick<Decision, 'facts' | 'inventories'>): Promise<void> {
    const rows = snapshot.versions as Map<string, StateRow>;
    const etag = (key: string): string | null => rows.get(key)?.etag ?? null;
    const operations: StateOperation[] = [];
    for (const inventory of inventories.values()) {
      const key = inventoryKey(inventory.poolId);
      const ttl = inventory.state === 'closed' ? { ttlSeconds: TOMBSTONE_TTL_SECONDS } : {};
      operations.push({ upsert: key, value: toInventoryRow(inventory), etag: etag(key), ...ttl });
    }
    for (const fact of facts) operations.push(...this.operationsOf(fact, etag));
    const events = facts.flatMap((fact) =>
      fact.kind === 'allocated' || fact.kind === 'released' ? [eventOf(fact)] : [],
    );
    await this.sidecar.transact([...oneOperationARow(operations), ...outboxRows(events)]);
    if (events.length > 0) this.committed(events);
  }

  private operationsOf(fact: PoolFact, etag: (key: string) => string | null): StateOperation[] {
    if (fact.kind === 'remembered') return [rememberOperation(fact.id, fact.answer)];
    if (fact.kind === 'request') {
      // no version of its own: who waits stands in the inventory too, and changes under its version
      const ttl = fact.request.status === 'waiting' ? {} : { ttlSeconds: ENDED_REQUEST_TTL_SECONDS };
      return [{ upsert: requestKey(fact.request.id), value: toRequestRow(fact.request), ...ttl }];
    }
    const key = allocationKey(fact.allocation.id);
    if (fact.kind === 'renewed') return [{ upsert: key, value: toAllocationRow(fact.allocation), etag: etag(key) }];
    if (fact.kind === 'allocated') return [{ upsert: key, value: toAllocationRow(fact.allocation), etag: null }];
    const { releasedAt, releasedBy, reason } = fact;
    // the same row: a row of its own would be one more to write for every allocation
    return [
      { upsert: key, value: toReleasedRow({ ...fact.allocation, releasedAt, releasedBy, reason }), etag: etag(key) },
    ];
  }

  async allocation(id: string): Promise<Allocation | undefined> {
    const row = (await this.sidecar.get([allocationKey(id)])).get(allocationKey(id));
    return row && !isReleased(row) ? allocationRow.parse(row.value) : undefined;
  }

  async requests(ids: readonly string[]): Promise<AllocationRequest[]> {
    const rows = await this.sidecar.get(ids.map(requestKey));
    return [...rows.values()].map(({ value }) => requestRow.parse(value));
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

  async inventoriesOfKind({ resourceType, location, labels }: Kind): Promise<OpenInventory[]> {
    const params: unknown[] = [resourceType];
    let where = `row->>'resource_type' = $1 AND state <> 'closed'`;
    if (location !== undefined) where += ` AND row->>'location' = $${params.push(location)}`;
    for (const [key, value] of labels) {
      where += ` AND row->'labels' @> jsonb_build_object($${params.push(key)}::text, $${params.push(value)}::text)`;
    }
    const rows = await this.sidecar.query(`SELECT row::text FROM inventories WHERE ${where}`, params);
    return rows.map((row) => inventoryRow.parse(row)).filter(isOpen);
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
    const sql = `SELECT document FROM allocations WHERE ${where} ORDER BY created_at, id LIMIT ${Math.trunc(limit)}`;
    return (await this.sidecar.query(sql, params)).map((row) => allocationRow.parse(row));
  }

  async expiredLeases(now: string, limit: number): Promise<Pick<Allocation, 'poolId' | 'id'>[]> {
    const sql = `SELECT row::text FROM allocations WHERE row->>'expires_at' <= $1
                 ORDER BY row->>'expires_at' LIMIT ${Math.trunc(limit)}`;
    return (await this.sidecar.query(sql, [now])).map((row) => allocationRow.parse(row));
  }

  async overdueQueues(now: string, limit: number): Promise<string[]> {
    const sql = `SELECT row::text FROM inventories WHERE row->>'waiting_until' <= $1
                 ORDER BY row->>'waiting_until' LIMIT ${Math.trunc(limit)}`;
    return (await this.sidecar.query(sql, [now])).map((row) => inventoryRow.parse(row).poolId);
  }

  async groupMembers(groupId: string): Promise<Allocation[]> {
    const sql = `SELECT row::text FROM allocations WHERE row->>'group_id' = $1`;
    return (await this.sidecar.query(sql, [groupId])).map((row) => allocationRow.parse(row));
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
    const sql = `SELECT document FROM allocation_history WHERE ${where} ${order} LIMIT ${Math.trunc(limit)}`;
    return (await this.sidecar.query(sql, params)).map((row) => releasedRow.parse(row));
  }
}

function rememberOperation(id: string, answer: Remembered): StateOperation {
  return { upsert: rememberedKey(id), value: toRememberedRow(answer), etag: null, ttlSeconds: IDEMPOTENCY_TTL_SECONDS };
}

function isReleased(row: StateRow | undefined): boolean {
  return row !== undefined && typeof (row.value as { released_at?: unknown }).released_at === 'string';
}

/** A transaction may name a row once only: the last word on it counts. All ask for the version that was read. */
function oneOperationARow(operations: readonly StateOperation[]): StateOperation[] {
  return [...new Map(operations.map((operation) => [keyOf(operation), operation])).values()];
}
