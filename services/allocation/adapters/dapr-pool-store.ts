import type { CloudEvent } from '../../../shared/contracts/events';
import { outboxRows, outboxSchema } from '../../../shared/dapr/outbox';
import { keyOf, type Sidecar, type StateOperation, type StateRow } from '../../../shared/dapr/sidecar';
import { IDEMPOTENCY_TTL_SECONDS } from '../../../shared/http/conditions';
import type { Decision, PoolFact, Remembered } from '../domain/pool-commands';
import { type Allocation, isOpen, type OpenInventory, type ReleasedAllocation } from '../domain/inventory';
import type { Kind } from '../domain/placement';
import type { AllocationRequest } from '../domain/queue';
import type { AllocationFilter, HistoryFilter, PoolStore, Snapshot, Wanted } from '../ports/pool-store';
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

const has = (field: string): string => `position('"${field}"'::bytea IN value) > 0`;
const ALLOCATION = `key LIKE '${APP}||allocation:%'`;
const INVENTORY = `key LIKE '${APP}||inventory:%'`;
/**
 * What an allocation's row is: held, or, changed by its release, history. Told by the field's name in the bytes, a tenth of
 * what it costs to parse the row; a name cannot stand there otherwise, for nothing in these rows is a caller's own text.
 */
const HELD = `${ALLOCATION} AND NOT ${has('released_at')}`;
const ENDED = `${ALLOCATION} AND ${has('released_at')}`;
/** Indexes of an earlier version: each costs every write of every service. */
const LEFT_BEHIND = ['allocations_by_pool', 'allocations_by_service', 'allocations_by_expiry', 'allocations_by_group']
  .concat(['released_by_pool', 'released_by_service', 'held_by_pool', 'held_by_service', 'ended_by_pool'])
  .concat(['ended_by_service', 'held_by_expiry', 'held_by_group', 'inventories_by_waiting', 'inventories_by_kind'])
  .map((name) => `DROP INDEX IF EXISTS state_${name};\n`)
  .join('');

/**
 * Where an allocation stands in the lists: a text that sorts as they do, made by one look at the row, for every write of
 * an allocation asks for it once for each index.
 */
const placeFunction = (name: string, of: string): string => `
CREATE OR REPLACE FUNCTION ${name}(bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  row jsonb := convert_from($1, 'UTF8')::jsonb;
BEGIN
  IF row->>'released_at' IS NULL THEN RETURN concat_ws('/', 'held', ${of}, row->>'created_at', row->>'id'); END IF;
  RETURN concat_ws('/', 'ended', ${of}, row->>'released_at', row->>'id');
END $$;`;
const PLACE = `allocation_place(value) COLLATE "C"`;
const SERVICE_PLACE = `allocation_service_place(value) COLLATE "C"`;

/**
 * Views and indexes over the state table. `document` is the row as it was written: a list need not have it parsed and
 * written anew. Inventories are found by type only: every grant writes one, and few are left to look at.
 */
export const SCHEMA = `${placeFunction('allocation_place', `row->>'resource_pool_id'`)}
${placeFunction('allocation_service_place', `row->>'resource_pool_id', row->>'service_id'`)}
CREATE OR REPLACE VIEW allocations AS
  SELECT state_json(value)->>'id' AS id, state_json(value)->>'resource_pool_id' AS resource_pool_id,
         state_json(value)->>'service_id' AS service_id, (state_json(value)->>'allocated_capacity')::bigint AS allocated_capacity,
         state_json(value)->>'created_at' AS created_at, state_json(value)->>'task_id' AS task_id, state_json(value) AS row,
         convert_from(value, 'UTF8') AS document, ${has('expires_at')} AS leased, ${has('group_id')} AS grouped
  FROM state WHERE ${HELD};
CREATE OR REPLACE VIEW inventories AS
  SELECT state_json(value)->>'pool_id' AS pool_id, (state_json(value)->>'total')::bigint AS total,
         (state_json(value)->>'allocated')::bigint AS allocated, state_json(value)->>'state' AS state,
         floor(((state_json(value)->>'total')::numeric - coalesce((state_json(value)->>'reserved')::numeric, 0))
               * coalesce((state_json(value)->>'allocation_ratio')::numeric, 1)) AS capacity,
         coalesce((state_json(value)->>'over_allowed')::boolean, false) AS over_allowed, state_json(value) AS row,
         ${has('waiting_until')} AS awaited
  FROM state WHERE ${INVENTORY};
CREATE OR REPLACE VIEW allocation_history AS
  SELECT state_json(value)->>'id' AS id, state_json(value)->>'resource_pool_id' AS resource_pool_id,
         state_json(value)->>'service_id' AS service_id, (state_json(value)->>'allocated_capacity')::bigint AS allocated_capacity,
         state_json(value)->>'created_at' AS created_at, state_json(value)->>'released_at' AS released_at,
         state_json(value)->>'end_reason' AS end_reason, state_json(value) AS row,
         convert_from(value, 'UTF8') AS document
  FROM state WHERE ${ENDED};
CREATE OR REPLACE VIEW allocation_places AS
  SELECT ${PLACE} AS place, ${SERVICE_PLACE} AS service_place,
         state_json(value)->>'end_reason' AS end_reason, convert_from(value, 'UTF8') AS document
  FROM state WHERE ${ALLOCATION};
CREATE OR REPLACE VIEW allocation_requests AS
  SELECT state_json(value)->>'id' AS id, state_json(value)->>'resource_pool_id' AS resource_pool_id,
         state_json(value)->>'status' AS status, state_json(value) AS row
  FROM state WHERE key LIKE '${APP}||request:%' AND (expires_at IS NULL OR expires_at > now());
${LEFT_BEHIND}CREATE INDEX IF NOT EXISTS state_allocation_places ON state ((${PLACE})) WHERE ${ALLOCATION};
CREATE INDEX IF NOT EXISTS state_allocation_service_places ON state ((${SERVICE_PLACE})) WHERE ${ALLOCATION};
CREATE INDEX IF NOT EXISTS state_allocations_leased ON state ((state_json(value)->>'expires_at')) WHERE ${HELD} AND ${has('expires_at')};
CREATE INDEX IF NOT EXISTS state_allocations_grouped ON state ((state_json(value)->>'group_id')) WHERE ${HELD} AND ${has('group_id')};
CREATE INDEX IF NOT EXISTS state_inventories_awaited ON state ((state_json(value)->>'waiting_until')) WHERE ${INVENTORY} AND ${has('waiting_until')};
CREATE INDEX IF NOT EXISTS state_inventories_of_type ON state ((state_json(value)->>'resource_type')) WHERE ${INVENTORY};
${outboxSchema(APP)}`;

/** Sorts behind every time. */
const LAST = 'z';

/** The places of a pool's allocations, or of a service's in it, as texts that sort like them. */
function placesOf(what: 'held' | 'ended', { poolId, serviceId }: AllocationFilter) {
  const prefix = [what, poolId, ...(serviceId === undefined ? [] : [serviceId])].join('/');
  return {
    column: serviceId === undefined ? 'place' : 'service_place',
    place: (...parts: readonly string[]): string => [prefix, ...parts].join('/'),
  };
}

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
    const events = facts.flatMap((fact) => eventOf(fact) ?? []);
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

  async listAllocations(filter: AllocationFilter): Promise<Allocation[]> {
    const { after, limit } = filter;
    const { column, place } = placesOf('held', filter);
    const sql = `SELECT document FROM allocation_places WHERE ${column} > $1 AND ${column} < $2
                 ORDER BY ${column} LIMIT ${Math.trunc(limit)}`;
    const params = [after ? place(after.at, after.id) : place(''), place(LAST)];
    return (await this.sidecar.query(sql, params)).map((row) => allocationRow.parse(row));
  }

  async expiredLeases(now: string, limit: number): Promise<Pick<Allocation, 'poolId' | 'id'>[]> {
    const sql = `SELECT document FROM allocations WHERE leased AND row->>'expires_at' <= $1
                 ORDER BY row->>'expires_at' LIMIT ${Math.trunc(limit)}`;
    return (await this.sidecar.query(sql, [now])).map((row) => allocationRow.parse(row));
  }

  async overdueQueues(now: string, limit: number): Promise<string[]> {
    const sql = `SELECT row::text FROM inventories WHERE awaited AND row->>'waiting_until' <= $1
                 ORDER BY row->>'waiting_until' LIMIT ${Math.trunc(limit)}`;
    return (await this.sidecar.query(sql, [now])).map((row) => inventoryRow.parse(row).poolId);
  }

  async groupMembers(groupId: string): Promise<Allocation[]> {
    const sql = `SELECT document FROM allocations WHERE grouped AND row->>'group_id' = $1`;
    return (await this.sidecar.query(sql, [groupId])).map((row) => allocationRow.parse(row));
  }

  async listReleased(filter: HistoryFilter): Promise<ReleasedAllocation[]> {
    const { reason, from = '', to = LAST, after, limit } = filter;
    const { column, place } = placesOf('ended', filter);
    const until = [place(to), ...(after ? [place(after.at, after.id)] : [])].sort()[0];
    const params: unknown[] = [place(from), until];
    const and = reason === undefined ? '' : ` AND end_reason = $${params.push(reason)}`;
    const sql = `SELECT document FROM allocation_places WHERE ${column} > $1 AND ${column} < $2${and}
                 ORDER BY ${column} DESC LIMIT ${Math.trunc(limit)}`;
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
