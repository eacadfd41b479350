import { AsyncResource } from 'node:async_hooks';
import type { CloudEvent, EventData, EventType } from '../contracts/events';
import { messageOf } from '../errors';
import type { Metrics } from '../http/metrics';
import { currentContext } from '../logging/context';
import type { Logger } from '../logging/logger';
import type { Sidecar, StateOperation } from './sidecar';

/**
 * Events are rows, written in the transaction of the change that they tell of (`outboxRow`), and a relay publishes and
 * then removes them. A crash between the two publishes again under the same id: the stream's duplicate window and the
 * consumers' memory of ids make that harmless. So no event is lost, and none is invented.
 */
const PREFIX = 'outbox:';
const BATCH = 500;

export function outboxRow(event: CloudEvent): StateOperation {
  return { upsert: `${PREFIX}${event.id}`, value: event };
}

/** Forms an event; `id` should follow from what happened (`uuidFromName`), so that telling twice is telling once. */
export function newEvent<T extends EventType>(
  type: T,
  fields: { id: string; source: string; time: string; data: EventData<T> },
): CloudEvent<T> {
  const context = currentContext();
  return {
    specversion: '1.0',
    datacontenttype: 'application/json',
    type,
    ...fields,
    ...(context ? { traceparent: context.traceparent } : {}),
  };
}

/** Schema statements for the relay's look at the rows: cheap however many other rows there are. */
export function outboxSchema(appId: string): string {
  const name = appId.replaceAll('-', '_');
  return `CREATE INDEX IF NOT EXISTS state_outbox_${name} ON state (created_at) WHERE key LIKE '${appId}||${PREFIX}%';`;
}

export interface Relay {
  /** Says that a transaction with events was committed; they go out at once. */
  wake(): void;
  stop(): Promise<void>;
}

/** Publishes what is in the outbox: when woken, and every `everyMs` for what a crash or a broker outage left behind. */
export function startRelay(options: {
  appId: string;
  sidecar: Sidecar;
  logger: Logger;
  metrics: Pick<Metrics, 'relayed' | 'outboxWaiting'>;
  everyMs?: number;
}): Relay {
  const { appId, sidecar, logger, metrics } = options;
  const everyMs = options.everyMs ?? 1_000;
  const prefix = `${appId}||${PREFIX}`;
  const sql = `SELECT convert_from(value, 'UTF8') FROM state WHERE key LIKE '${prefix}%' ORDER BY created_at LIMIT ${BATCH}`;
  let running: Promise<void> | undefined;
  let again = false;
  let failing = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  async function relayBatch(): Promise<boolean> {
    const events = (await sidecar.query(sql, [])) as CloudEvent[];
    metrics.outboxWaiting.set(events.length);
    let published = 0;
    let failure: Error | undefined;
    for (const topic of new Set(events.map((event) => event.type))) {
      const ofTopic = events.filter((event) => event.type === topic);
      try {
        const taken = await sidecar.publish(topic, ofTopic);
        if (taken.size > 0) await sidecar.transact([...taken].map((id) => ({ remove: `${PREFIX}${id}` })));
        metrics.relayed.inc(taken.size);
        published += taken.size;
      } catch (error) {
        // one topic that does not go out must not hold up the others
        failure = error instanceof Error ? error : new Error(messageOf(error));
      }
    }
    if (failure) throw failure;
    if (published < events.length) throw new Error(`the broker refused ${events.length - published} events`);
    metrics.outboxWaiting.set(0);
    return events.length === BATCH;
  }

  async function run(): Promise<void> {
    try {
      do {
        again = false;
        // a full batch means that more waits
        while (!stopped && (await relayBatch()));
      } while (again && !stopped);
      if (failing) logger.info('events flow again', { activity: 'outbox.relay', result: 'ok' });
      failing = false;
    } catch (error) {
      if (!failing) {
        logger.warn('events wait in the outbox until the broker takes them', {
          activity: 'outbox.relay',
          result: 'waiting',
          error: messageOf(error),
        });
      }
      failing = true;
    }
  }

  function wake(): void {
    again = true;
    if (running || stopped) return;
    clearTimeout(timer);
    running = run().finally(() => {
      running = undefined;
      if (!stopped) timer = setTimeout(wake, everyMs);
      if (again && !failing) wake();
    });
  }

  wake();
  return {
    // the relay works for everybody: its log lines must not carry the ids of the request that woke it
    wake: AsyncResource.bind(wake),
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
