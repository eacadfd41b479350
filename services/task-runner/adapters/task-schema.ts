import { outboxSchema } from '../../../shared/dapr/outbox';
import { APP_ID } from './dapr-task-store';

const ROWS = `key LIKE '${APP_ID}||task:%'`;
const NEWEST_FIRST = `(state_json(value) ->> 'createdAt') DESC, (state_json(value) ->> 'id') DESC`;

/**
 * The view `tasks` over the state rows: the columns and types of the source document's table, then what lists need, and
 * `document`, the whole row. Filters and order on `document` match the expression indexes. The index of open tasks
 * stays small however long the history grows.
 */
export const taskSchema = `
CREATE OR REPLACE VIEW tasks AS
SELECT (document ->> 'id')::uuid AS id,
       (document ->> 'userId')::uuid AS user_id,
       (document ->> 'serviceType')::varchar AS service_type,
       (document ->> 'containerId')::varchar AS container_id,
       (document ->> 'port')::int AS port,
       ((document ->> 'startTime')::timestamptz AT TIME ZONE 'UTC')::timestamp AS start_time,
       ((document ->> 'stopTime')::timestamptz AT TIME ZONE 'UTC')::timestamp AS stop_time,
       ((document ->> 'stopTime')::timestamptz
         - (COALESCE(document ->> 'startTime', document ->> 'stopTime'))::timestamptz)::interval AS duration,
       (document ->> 'status')::varchar AS status,
       ((document ->> 'createdAt')::timestamptz AT TIME ZONE 'UTC')::timestamp AS created_at,
       document
FROM (SELECT state_json(value) AS document FROM state WHERE ${ROWS}) AS rows;
CREATE INDEX IF NOT EXISTS state_task_newest ON state (${NEWEST_FIRST}) WHERE ${ROWS};
CREATE INDEX IF NOT EXISTS state_task_user ON state ((state_json(value) ->> 'userId'), ${NEWEST_FIRST}) WHERE ${ROWS};
CREATE INDEX IF NOT EXISTS state_task_user_status
  ON state ((state_json(value) ->> 'userId'), (state_json(value) ->> 'status'), ${NEWEST_FIRST}) WHERE ${ROWS};
CREATE INDEX IF NOT EXISTS state_task_type ON state ((state_json(value) ->> 'serviceType'), ${NEWEST_FIRST}) WHERE ${ROWS};
CREATE INDEX IF NOT EXISTS state_task_type_status
  ON state ((state_json(value) ->> 'serviceType'), (state_json(value) ->> 'status'), ${NEWEST_FIRST}) WHERE ${ROWS};
CREATE INDEX IF NOT EXISTS state_task_status ON state ((state_json(value) ->> 'status'), ${NEWEST_FIRST}) WHERE ${ROWS};
CREATE INDEX IF NOT EXISTS state_task_open ON state ((state_json(value) ->> 'createdAt'))
  WHERE ${ROWS} AND (state_json(value) ->> 'open') = 'true';
${outboxSchema(APP_ID)}`;
