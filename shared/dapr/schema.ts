import { messageOf } from '../errors';
import type { Logger } from '../logging/logger';
import type { Sidecar } from './sidecar';

/** Any number, the same in all services: their schema statements never run at the same time. */
const LOCK = 727_274;

/**
 * What every service's views and indexes build on: the JSON of a state row, as an immutable function so that an index
 * may be made over it. In plpgsql, because a function in SQL that is not inlined costs 20 µs a call, and an insert calls it
 * for every column of every index.
 */
const COMMON = `
CREATE OR REPLACE FUNCTION state_json(bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
  AS $$ BEGIN RETURN convert_from($1, 'UTF8')::jsonb; END $$;`;

/**
 * Makes a service's views and indexes over Dapr's table `state`; tries until the database is there.
 * The statements must be repeatable (`CREATE OR REPLACE`, `IF NOT EXISTS`).
 */
export async function ensureSchema(
  sidecar: Sidecar,
  statements: string,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      await sidecar.execute(`SELECT pg_advisory_xact_lock(${LOCK});${COMMON}${statements}`);
      return;
    } catch (error) {
      if (attempt % 10 === 5) {
        logger.warn('the database schema is not in place yet', {
          activity: 'schema',
          result: 'waiting',
          error: messageOf(error),
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}
