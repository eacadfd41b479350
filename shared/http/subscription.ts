import { z } from 'zod';
import { cloudEvent, type CloudEvent, type EventType } from '../contracts/events';
import { AppError, messageOf } from '../errors';
import { withContext } from '../logging/context';
import type { Logger } from '../logging/logger';
import { route, type Route } from './route';

/** What a delivery carries beside the event that we published; daprd adds members of its own. */
const bulkDelivery = z.looseObject({
  entries: z.array(z.looseObject({ entryId: z.string(), event: z.unknown() })).min(1),
});

/** How one delivered event ended: done, not now (comes again), or never (daprd forgets it). */
export type Verdict = 'SUCCESS' | 'RETRY' | 'DROP';

export interface Subscription<T extends EventType = EventType> {
  topic: T;
  /**
   * Takes the valid events of one delivery, and returns after what they lead to is committed. One that throws is
   * delivered again, with all others of its batch; so handlers de-duplicate by event id.
   */
  handle(events: CloudEvent<T>[]): Promise<void>;
}

/** The path that components/subscription-*.yaml name for a topic. */
export function eventPath(topic: string): string {
  return `/events/${topic}`;
}

/**
 * The route to which daprd delivers a topic in bulk. An invalid event gets `RETRY`: the inbound retries run out and it
 * goes to the dead-letter topic, which keeps it; `DROP` would lose it.
 */
export function bulkEventRoute(
  path: string,
  process: (entries: { entryId: string; event: unknown }[]) => Promise<Map<string, Verdict>>,
): Route {
  return route({
    method: 'post',
    path,
    summary: `Delivery of events by the sidecar`,
    access: { callers: [] },
    body: bulkDelivery,
    bodyLimit: 32 * 1024 * 1024,
    responses: { 200: z.object({ statuses: z.array(z.object({ entryId: z.string(), status: z.string() })) }) },
    handle: async ({ body }) => {
      const verdicts = await process(body.entries.map(({ entryId, event }) => ({ entryId, event: decoded(event) })));
      const statuses = body.entries.map(({ entryId }) => ({ entryId, status: verdicts.get(entryId) ?? 'RETRY' }));
      return { status: 200, body: { statuses } };
    },
  });
}

/**
 * Our subscriptions say `rawPayload`, so that daprd does not look into the events: a message that is no JSON, or whose
 * `traceparent` is no text, would never get here (docs/dapr-findings.md). They come as base64; what is no JSON stays text.
 */
function decoded(event: unknown): unknown {
  if (typeof event !== 'string') return event;
  const text = Buffer.from(event, 'base64').toString('utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** A table of subscriptions as routes. */
export function subscriptionRoutes(subscriptions: readonly Subscription[], logger: Logger): Route[] {
  return subscriptions.map((subscription) =>
    bulkEventRoute(eventPath(subscription.topic), async (entries) => {
      const schema = cloudEvent(subscription.topic);
      const verdicts = new Map<string, Verdict>();
      const valid: { entryId: string; event: CloudEvent }[] = [];
      for (const { entryId, event } of entries) {
        const parsed = schema.safeParse(event);
        if (parsed.success) valid.push({ entryId, event: parsed.data as CloudEvent });
        else {
          verdicts.set(entryId, 'RETRY');
          logger.warn('an event does not fit its schema; it goes to the dead letters after its retries', {
            activity: `event ${subscription.topic}`,
            resource: idOf(event),
            result: 'event.invalid',
            faults: parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`),
          });
        }
      }
      const [first] = valid;
      if (first === undefined) return verdicts;
      try {
        await withContext({ requestId: first.entryId, traceparent: first.event.traceparent }, () =>
          subscription.handle(valid.map(({ event }) => event)),
        );
        for (const { entryId, event } of valid) {
          verdicts.set(entryId, 'SUCCESS');
          withContext({ requestId: event.id, traceparent: event.traceparent }, () =>
            logger.info(`event ${event.type} taken in`, {
              activity: `event ${event.type}`,
              who: event.source,
              resource: event.id,
              result: 'ok',
            }),
          );
        }
      } catch (error) {
        for (const { entryId } of valid) verdicts.set(entryId, 'RETRY');
        logger.warn('events could not be taken in; they come again', {
          activity: `event ${subscription.topic}`,
          result: error instanceof AppError ? error.code : 'internal',
          error: messageOf(error),
          events: valid.length,
        });
      }
      return verdicts;
    }),
  );
}

function idOf(event: unknown): unknown {
  return typeof event === 'object' && event !== null ? (event as { id?: unknown }).id : undefined;
}
