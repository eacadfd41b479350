/**
 * SQL over Dapr's table `state`: what the store reads by, and the view `usage_records` for people and reports. Every
 * index is partial, by the same text of `key LIKE` as the queries, else PostgreSQL does not use it.
 */
const APP = 'blockchain-forwarder';

export const USAGE_KEY = `${APP}||usage:`;
export const IS_USAGE = `key LIKE '${USAGE_KEY}%'`;
export const IS_DELIVERY = `key LIKE '${APP}||delivery:%'`;
export const IS_DEAD_LETTER = `key LIKE '${APP}||dead:%'`;

const doc = 'state_json(value)';
/** Times are written in one spelling (`…T…:….000Z`), so that they sort as text; a cast to a time could not be indexed. */
export const DELIVERY = {
  usageId: `(${doc} ->> 'usageId')`,
  sink: `(${doc} ->> 'sink')`,
  nextAttemptAt: `(${doc} ->> 'nextAttemptAt')`,
  claim: `(${doc} ->> 'claim')`,
  isOpen: `(${doc} ->> 'state') <> 'delivered'`,
};
export const DEAD_LETTER = { receivedAt: `(${doc} ->> 'receivedAt')`, id: `(${doc} ->> 'id')` };

export const USAGE = {
  id: `(${doc} #>> '{record,id}')`,
  kind: `(${doc} #>> '{record,kind}')`,
  userId: `(${doc} #>> '{record,userId}')`,
  serviceType: `(${doc} #>> '{record,serviceType}')`,
  endedAt: `(${doc} #>> '{record,endedAt}')`,
  /** The id of the record that this one replaces. */
  corrects: `(${doc} #>> '{record,corrects}')`,
};
export const IS_CORRECTION = `${IS_USAGE} AND ${USAGE.corrects} IS NOT NULL`;

export const usageSchema = `
CREATE INDEX IF NOT EXISTS usage_by_end ON state (${USAGE.endedAt}, ${USAGE.id}) WHERE ${IS_USAGE};
CREATE INDEX IF NOT EXISTS usage_by_user ON state (${USAGE.userId}, ${USAGE.endedAt}, ${USAGE.id}) WHERE ${IS_USAGE};
CREATE INDEX IF NOT EXISTS usage_by_type ON state (${USAGE.serviceType}, ${USAGE.endedAt}, ${USAGE.id}) WHERE ${IS_USAGE};
CREATE INDEX IF NOT EXISTS usage_corrections ON state (${USAGE.corrects}) WHERE ${IS_CORRECTION};
CREATE INDEX IF NOT EXISTS usage_delivery_due ON state (${DELIVERY.sink}, ${DELIVERY.nextAttemptAt})
  WHERE ${IS_DELIVERY} AND ${DELIVERY.isOpen};
CREATE INDEX IF NOT EXISTS usage_delivery_of ON state (${DELIVERY.usageId}) WHERE ${IS_DELIVERY};
CREATE INDEX IF NOT EXISTS usage_dead_by_time ON state (${DEAD_LETTER.receivedAt}, ${DEAD_LETTER.id}) WHERE ${IS_DEAD_LETTER};
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
  ${doc} AS document
FROM state WHERE ${IS_USAGE};`;
