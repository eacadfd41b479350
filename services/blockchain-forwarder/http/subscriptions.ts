import type { Route } from '../../../shared/http/route';
import { bulkEventRoute, subscriptionRoutes, type Subscription } from '../../../shared/http/subscription';
import { ingestEvents, type IngestParts } from '../application/ingest-events';
import { keepDeadLetters } from '../application/keep-dead-letters';
import type { EndOfUse } from '../domain/usage-record';
import { examineEvent, TOPICS } from './examine-event';

/** Where components/subscription-dead-letters.yaml delivers what no retry could. */
export const DEAD_LETTER_PATH = '/events/dead-letters';

export function eventRoutes(parts: IngestParts): Route[] {
  const subscriptions: Subscription[] = TOPICS.map((topic) => ({
    topic,
    handle: (events) => ingestEvents({ events: events as EndOfUse[], invalid: [] }, parts),
  }));
  return [...subscriptionRoutes(subscriptions, parts.logger), deadLetterRoute(parts)];
}

/**
 * What no retry could deliver. The dead-letter topic does not say why, so the event is looked at again: one that is valid
 * met a failure of ours (store away, process replaced) and becomes a record now; the others are written down. While
 * either fails, the whole delivery comes again, however often.
 */
function deadLetterRoute(parts: IngestParts): Route {
  return bulkEventRoute(DEAD_LETTER_PATH, async (entries) => {
    const seen = entries.map(({ event }) => ({ event, ...examineEvent(event) }));
    await ingestEvents({ events: seen.flatMap(({ valid }) => valid ?? []), invalid: [] }, parts);
    await keepDeadLetters(
      seen.flatMap(({ event, topic, detail }) => (detail ? { event, topic, detail } : [])),
      parts,
    );
    return new Map(entries.map(({ entryId }) => [entryId, 'SUCCESS']));
  });
}
