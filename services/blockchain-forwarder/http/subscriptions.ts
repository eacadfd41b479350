import { cloudEvent, type EventType } from '../../../shared/contracts/events';
import type { Route } from '../../../shared/http/route';
import { bulkEventRoute, subscriptionRoutes, type Subscription } from '../../../shared/http/subscription';
import { ingestEvents, type IngestParts } from '../application/ingest-events';
import { keepDeadLetters } from '../application/keep-dead-letters';
import type { EndOfUse } from '../domain/usage-record';

/** Topics whose events end a use; components/subscription-*.yaml has a document for each. */
const TOPICS = ['task.stopped', 'task.failed', 'allocation.released'] as const satisfies readonly EventType[];

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
    const seen = entries.map(({ event }) => ({ event, ...examine(event) }));
    await ingestEvents({ events: seen.flatMap(({ valid }) => valid ?? []), invalid: [] }, parts);
    await keepDeadLetters(
      seen.flatMap(({ event, topic, detail }) => (detail ? { event, topic, detail } : [])),
      parts,
    );
    return new Map(entries.map(({ entryId }) => [entryId, 'SUCCESS']));
  });
}

/** Either the valid event, or what is wrong with it. */
function examine(event: unknown): { topic: string; valid?: EndOfUse; detail?: string } {
  const type = (event as { type?: unknown } | null)?.type;
  const topic = TOPICS.find((known) => known === type);
  if (!topic) return { topic: 'unknown', detail: 'it is no event that ends a use' };
  const parsed = cloudEvent(topic).safeParse(event);
  if (parsed.success) return { topic, valid: parsed.data as EndOfUse };
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'event'}: ${issue.message}`);
  return { topic, detail: faults.join('; ').slice(0, 2_000) };
}
