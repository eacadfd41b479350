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

/** How a delivery ended: done, or not now (it comes again). */
type Verdict = 'SUCCESS' | 'RETRY';

/** What came as an event and is none. */
export interface InvalidEvent {
  /** The type that it says it has, where that is one of the types asked for; otherwise `unknown`. */
  topic: string;
  event: unknown;
  /** For people: which fields are wrong, and what about them. */
  detail: string;
}

/** The events of a delivery, in their order. */
export interface Bundle<T extends EventType = EventType> {
  events: CloudEvent<T>[];
  invalid: InvalidEvent[];
}

export interface Subscription<T extends EventType = EventType> {
  types: readonly T[];
  /**
   * Takes what came, and returns after all that it leads to is committed. When it throws, all comes again; so it
   * de-duplicates by event id.
   */
  handle: (bundle: Bundle<T>) => Promise<void>;
}

/** The path that components/subscription-*.yaml name for a topic. */
export function eventPath(topic: string): string {
  return `/events/${topic}`;
}

/**
 * The route to which daprd delivers messages: each an event or a bundle, a JSON array of events. All of a delivery go to
 * the handler together, and are acknowledged together.
 */
export function bundleRoute<T extends EventType>(
  path: string,
  { types, handle }: Subscription<T>,
  logger: Logger,
): Route {
  const examine = eventExaminer(types);
  return route({
    method: 'post',
    path,
    summary: `Delivery of events by the sidecar`,
    access: { callers: [] },
    body: bulkDelivery,
    bodyLimit: 32 * 1024 * 1024,
    responses: { 200: z.object({ statuses: z.array(z.object({ entryId: z.string(), status: z.string() })) }) },
    handle: async ({ body }) => {
      const bundle: Bundle<T> = { events: [], invalid: [] };
      for (const event of body.entries.flatMap((entry) => opened(decoded(entry.event)))) {
        const found = examine(event);
        if ('detail' in found) bundle.invalid.push(found);
        else bundle.events.push(found.valid);
      }
      const status = await takeIn(path, bundle, handle, logger);
      const statuses = body.entries.map(({ entryId }) => ({ entryId, status }));
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

/** The events of a message; what is no bundle is one of one. An empty one is kept, to be found invalid. */
function opened(message: unknown): unknown[] {
  return Array.isArray(message) && message.length > 0 ? (message as unknown[]) : [message];
}

/** @returns what tells the valid events of some types from what is none of them */
export function eventExaminer<T extends EventType>(
  types: readonly T[],
): (event: unknown) => { valid: CloudEvent<T> } | InvalidEvent {
  const schemas = new Map<unknown, z.ZodType>(types.map((type) => [type, cloudEvent(type)]));
  return (event) => {
    if (typeof event !== 'object' || event === null || Array.isArray(event)) {
      return { topic: 'unknown', event, detail: 'event: it is no JSON object' };
    }
    const { type } = event as { type?: unknown };
    const schema = schemas.get(type);
    if (!schema) return { topic: 'unknown', event, detail: `type: it is none of ${[...schemas.keys()].join(', ')}` };
    const parsed = schema.safeParse(event);
    if (parsed.success) return { valid: parsed.data as CloudEvent<T> };
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'event'}: ${issue.message}`);
    return { topic: String(type), event, detail: faults.join('; ').slice(0, 2_000) };
  };
}

/** Has the bundle handled. The log has a line for each event, in the trace of the request that caused it. */
async function takeIn<T extends EventType>(
  path: string,
  bundle: Bundle<T>,
  handle: Subscription<T>['handle'],
  logger: Logger,
): Promise<Verdict> {
  const [first] = bundle.events;
  try {
    if (first) await withContext({ requestId: first.id, traceparent: first.traceparent }, () => handle(bundle));
    else await handle(bundle);
  } catch (error) {
    logger.warn('events could not be taken in; they come again', {
      activity: `delivery to ${path}`,
      result: error instanceof AppError ? error.code : 'internal',
      error: messageOf(error),
      events: bundle.events.length + bundle.invalid.length,
    });
    return 'RETRY';
  }
  for (const { id, type, source, traceparent } of bundle.events) {
    withContext({ requestId: id, traceparent }, () =>
      logger.info(`event ${type} taken in`, { activity: `event ${type}`, who: source, resource: id, result: 'ok' }),
    );
  }
  return 'SUCCESS';
}
