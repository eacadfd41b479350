/**
 * SQL over Dapr's table `state`: what the store reads by, and the view `usage_records` for people and reports. Every
 * index is partial, by the same text of `key LIKE` as the queries, else PostgreSQL does not use it.
 */
const APP = 'blockchain-forwarder';

export const USAGE_KEY = `${APP}||usage:`;
const BATCH_KEY = `${APP}||batch:`;
export const IS_USAGE = `key LIKE '${USAGE_KEY}%'`;
/** What corrects a record has its row by that record's id. */
export const CORRECTED_KEY = `${APP}||corrected:`;
export const IS_CORRECTED = `key LIKE '${CORRECTED_KEY}%'`;
export const IS_CHUNK = `key LIKE '${APP}||unbatched:%'`;
const IS_BATCH = `key LIKE '${BATCH_KEY}%'`;
export const IS_DELIVERY = `key LIKE '${APP}||delivery:%'`;
export const IS_DEAD_LETTER = `key LIKE '${APP}||dead:%'`;

/** Keys as the state store takes them, without the app-id. */
export const HEAD_KEY = 'ledger-head';
export const usageKey = (id: string): string => `usage:${id}`;
export const chunkKey = (id: string): string => `unbatched:${id}`;
export const batchKey = (batchId: number): string => `batch:${batchId}`;
export const leavesKey = (batchId: number): string => `leaves:${batchId}`;
export const sinkKey = (sink: string): string => `sink:${sink}`;
export const deliveryKey = ({ sink, batchId }: AtSink): string => `delivery:${sink}:${batchId}`;
export const progressKey = ({ sink, batchId }: AtSink): string => `progress:${sink}:${batchId}`;
/** Names the one record that corrects a record. */
export const correctedKey = (id: string): string => `corrected:${id}`;
export const deadLetterKey = (id: string): string => `dead:${id}`;

interface AtSink {
  sink: string;
  batchId: number;
}

const doc = 'state_json(value)';
/** Count and bytes are of a document that was read as `chunk`: parsing it is what costs. */
export const CHUNK = {
  document: doc,
  count: `jsonb_array_length(chunk -> 'entries')`,
  bytes: `(chunk ->> 'bytes')::bigint`,
};
const DELIVERY_BATCH = `((${doc} ->> 'batchId')::int)`;
const OPEN_STAGES = `(${doc} ->> 'stage') IN ('pending', 'submitted', 'mined')`;
/** Of a row of `state` named `delivery`, as subqueries name it. */
const OF_DELIVERY = `state_json(delivery.value)`;
export const DELIVERY = {
  document: doc,
  sink: `(${doc} ->> 'sink')`,
  place: `(${doc} ->> 'place')`,
  batchId: DELIVERY_BATCH,
  isOpen: OPEN_STAGES,
  batch: `(SELECT ${doc} - 'chunks' - 'nodes' FROM state WHERE key = '${BATCH_KEY}' || (${OF_DELIVERY} ->> 'batchId'))`,
  progress: `(SELECT ${doc} FROM state WHERE key = '${APP}||progress:' || (${OF_DELIVERY} ->> 'sink') || ':' || (${OF_DELIVERY} ->> 'batchId'))`,
};
export const DEAD_LETTER = {
  document: doc,
  receivedAt: `(${doc} ->> 'receivedAt')`,
  id: `(${doc} ->> 'id')`,
  state: `(coalesce(${doc} ->> 'state', 'open'))`,
  reason: `(${doc} ->> 'reason')`,
  eventId: `(${doc} ->> 'eventId')`,
  sink: `(${doc} #>> '{refusedBy,sink}')`,
};

/** The batch of a record `usage_records.document`, and that batch's deliveries. */
export const IN_LEDGER = `
  LEFT JOIN LATERAL (SELECT ${doc} - 'chunks' - 'nodes' AS document FROM state
    WHERE ${IS_BATCH} AND ${doc} -> 'chunks' @> (usage_records.document -> 'chunk') LIMIT 1) AS batch ON true
  LEFT JOIN LATERAL (SELECT json_agg(${doc}) AS documents FROM state
    WHERE ${IS_DELIVERY} AND ${DELIVERY_BATCH} = (batch.document ->> 'batchId')::int) AS deliveries ON true`;

export const USAGE = {
  /** By its row's key: a look into the JSON costs as much as ten looks at a key. */
  id: `substr(key, ${USAGE_KEY.length + 1})`,
  kind: `(${doc} #>> '{record,kind}')`,
  userId: `(${doc} #>> '{record,userId}')`,
  serviceType: `(${doc} #>> '{record,serviceType}')`,
  endedAt: `(${doc} #>> '{record,endedAt}')`,
};

export const usageSchema = `
DROP INDEX IF EXISTS usage_by_end, usage_by_user, usage_by_type, usage_corrections;
CREATE INDEX IF NOT EXISTS usage_of_end ON state (${USAGE.endedAt}, ${USAGE.id}) WHERE ${IS_USAGE};
CREATE INDEX IF NOT EXISTS usage_of_user ON state (${USAGE.userId}, ${USAGE.endedAt}, ${USAGE.id}) WHERE ${IS_USAGE};
CREATE INDEX IF NOT EXISTS usage_of_type ON state (${USAGE.serviceType}, ${USAGE.endedAt}, ${USAGE.id}) WHERE ${IS_USAGE};
CREATE INDEX IF NOT EXISTS usage_corrected ON state (key) WHERE ${IS_CORRECTED};
CREATE INDEX IF NOT EXISTS usage_unbatched ON state (created_at, key) WHERE ${IS_CHUNK};
CREATE INDEX IF NOT EXISTS ledger_batch_by_chunk ON state USING gin ((${doc} -> 'chunks') jsonb_path_ops) WHERE ${IS_BATCH};
CREATE INDEX IF NOT EXISTS ledger_delivery_open ON state (${DELIVERY.sink}, ${DELIVERY.place}, ${DELIVERY_BATCH})
  WHERE ${IS_DELIVERY} AND ${OPEN_STAGES};
CREATE INDEX IF NOT EXISTS ledger_delivery_of ON state (${DELIVERY_BATCH}) WHERE ${IS_DELIVERY};
DROP INDEX IF EXISTS usage_delivery_due, usage_delivery_of;
CREATE INDEX IF NOT EXISTS usage_dead_by_time ON state (${DEAD_LETTER.receivedAt}, ${DEAD_LETTER.id}) WHERE ${IS_DEAD_LETTER};
CREATE INDEX IF NOT EXISTS usage_dead_by_state ON state (${DEAD_LETTER.state}, ${DEAD_LETTER.receivedAt}, ${DEAD_LETTER.id})
  WHERE ${IS_DEAD_LETTER};
CREATE INDEX IF NOT EXISTS usage_dead_by_event ON state (${DEAD_LETTER.eventId}) WHERE ${IS_DEAD_LETTER};
CREATE OR REPLACE VIEW usage_records AS SELECT
  ${USAGE.id} AS id,
  ${USAGE.kind} AS kind,
  ${USAGE.userId} AS user_id,
  ${doc} #>> '{record,taskId}' AS task_id,
  ${doc} #>> '{record,allocationId}' AS allocation_id,
  ${USAGE.serviceType} AS service_type,
  ${doc} #>> '{record,serviceId}' AS service_id,
  ${doc} #>> '{record,poolId}' AS pool_id,
  (${doc} #>> '{record,capacity}')::bigint AS capacity,
  (${doc} #>> '{record,startedAt}')::timestamptz AS started_at,
  (${USAGE.endedAt})::timestamptz AS ended_at,
  ${USAGE.endedAt} AS ended_at_text,
  (${doc} #>> '{record,duration}')::interval AS duration,
  ${doc} #>> '{record,reason}' AS reason,
  ${doc} ->> 'usageHash' AS usage_hash,
  (${doc} ->> 'receivedAt')::timestamptz AS received_at,
  ${doc} AS document,
  ${doc} #>> '{record,corrects}' AS corrects,
  (SELECT state_json(correction.value) ->> 'by' FROM state AS correction
    WHERE correction.key = '${CORRECTED_KEY}' || substr(state.key, ${USAGE_KEY.length + 1})) AS corrected_by,
  key
FROM state WHERE ${IS_USAGE};`;
