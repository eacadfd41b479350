import { ENDS_USE, USAGE_ENDED } from '../../../shared/contracts/events';
import type { Route } from '../../../shared/http/route';
import { bundleRoute, eventPath, type Subscription } from '../../../shared/http/subscription';
import { ingestEvents, type IngestParts } from '../application/ingest-events';
import type { EndOfUse } from '../domain/usage-record';

/** Where components/subscription-dead-letters.yaml delivers what no retry could. */
export const DEAD_LETTER_PATH = '/events/dead-letters';

/**
 * Both ways lead to the same place. A message in the dead letters met a failure of ours (store away, process replaced), and
 * becomes records now; while that fails it comes again, however often.
 */
export function eventRoutes(parts: IngestParts): Route[] {
  const endsOfUses: Subscription<(typeof ENDS_USE)[number]> = {
    types: ENDS_USE satisfies readonly EndOfUse['type'][],
    handle: ({ events, invalid }) => ingestEvents({ events: events as EndOfUse[], invalid }, parts),
  };
  return [eventPath(USAGE_ENDED), DEAD_LETTER_PATH].map((path) => bundleRoute(path, endsOfUses, parts.logger));
}
