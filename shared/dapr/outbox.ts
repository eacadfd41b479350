import { AsyncResource } from 'node:async_hooks';
import { endsUse, USAGE_ENDED, type CloudEvent, type EventData, type EventType } from '../contracts/events';
import { messageOf } from '../errors';
import type { Metrics } from '../metrics';
import { currentContext } from '../logging/context';
import type { Logger } from '../logging/logger';
import { bundlesOf } from './bundles';
import type { Sidecar, StateOperation } from './sidecar';

/**
 * Events are rows, written in the transaction of the change that they tell of (`outboxRows`), and a relay publishes and
 * then removes them. A crash between the two publishes again under the same id: the stream's duplicate window and the
 * consumers' memory of ids make that harmless. So no event is lost, and none is invented. What ends a use is published
 * twice, by itself and in a bundle, and its row waits for both.
 */
const PREFIX = 'outbox:';
const BATCH = 500;
/** Events of so many milliseconds go out together: a request to the sidecar costs as much as twenty events in it. */
const GATHER_MS = 50;
/** Rows that may be handed over and not be published yet; what comes beyond is found in the database. */
const HANDED = 1_000;
/** So old are rows that a look at the database takes up: younger ones are in the hands of whoever wrote them. */
const LEFT_BEHIND = `created_at < now() - interval '2 seconds'`;

/** The events of one transaction; a single one stands by itself in rows of an earlier version. */
type Row = CloudEvent[];

/** One row for all events of a transaction: each row costs it a round trip to the database, and the relay another. */
export function outboxRows(events: readonly CloudEvent[]): StateOperation[] {
  return events.length === 0 ? [] : [{ upsert: keyOf(events), value: events }];
}

function keyOf([first]: readonly CloudEvent[]): string {
  if (!first) throw new Error('a row of the outbox has an event');
  return `${PREFIX}${first.id}`;
}

/** What removes a row, or leaves in it what the broker has not taken. */
function settle(row: Row, taken: ReadonlySet<string>): StateOperation[] {
  const left = row.filter(({ id }) => !taken.has(id));
  if (left.length === row.length) return [];
  const remove = left[0] === row[0] ? [] : [{ remove: keyOf(row) }];
  return [...remove, ...outboxRows(left)];
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
  /**
   * Says that a transaction with events was committed; they go out in a moment. Handed over, all of the transaction's
   * events are not read from the database again.
   */
  wake(events?: readonly CloudEvent[]): void;
  stop(): Promise<void>;
}

function afterTimeout(work: () => void, ms: number): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

/** Publishes what is in the outbox: when woken, and every `everyMs` for what a crash or a broker outage left behind. */
export function startRelay(options: {
  appId: string;
  sidecar: Sidecar;
  logger: Logger;
  metrics: Pick<Metrics, 'relayed' | 'outboxWaiting'>;
  everyMs?: number;
  /** Does something later; what it returns calls that off. */
  later?: (work: () => void, ms: number) => () => void;
}): Relay {
  const { appId, sidecar, logger, metrics, later = afterTimeout } = options;
  const everyMs = options.everyMs ?? 1_000;
  const prefix = `${appId}||${PREFIX}`;
  const sql = (age: string) =>
    `SELECT convert_from(value, 'UTF8') FROM state WHERE key LIKE '${prefix}%'${age} ORDER BY created_at LIMIT ${BATCH}`;
  let handed: Row[] = [];
  /** What is looked for in the database: everything at first, and after a transaction whose events were not handed over. */
  let look: 'all' | 'left behind' | 'nothing' = 'all';
  let running: Promise<void> | undefined;
  let again = false;
  let failing = false;
  let stopped = false;
  let callOff = (): void => undefined;

  async function find(): Promise<Row[]> {
    const wanted = look;
    // before the look, so that whoever wakes the relay meanwhile is not overlooked
    look = 'nothing';
    const found = (await sidecar.query(sql(wanted === 'all' ? '' : ` AND ${LEFT_BEHIND}`), [])) as (CloudEvent | Row)[];
    // a full batch means that more waits
    if (found.length === BATCH) look = 'all';
    return found.map((row) => (Array.isArray(row) ? row : [row]));
  }

  /** Publishes the events of rows and removes from the database what the broker has taken. */
  async function send(rows: readonly Row[]): Promise<void> {
    metrics.outboxWaiting.set(rows.length);
    const events = rows.flat();
    const topics = [...new Set(events.map(({ type }) => type))];
    // one topic that does not go out must not hold up the others
    const results = await Promise.allSettled(
      topics.map((topic) =>
        sidecar.publish(
          topic,
          events.filter(({ type }) => type === topic),
        ),
      ),
    );
    const single = new Set(results.flatMap((result) => (result.status === 'fulfilled' ? [...result.value] : [])));
    const bundled = await publishBundles(events.filter(({ type }) => endsUse(type)));
    const done = events.filter(({ id, type }) => single.has(id) && (!endsUse(type) || bundled.taken.has(id)));
    const taken = new Set(done.map(({ id }) => id));
    metrics.relayed.inc(taken.size);
    const operations = rows.flatMap((row) => settle(row, taken));
    if (operations.length > 0) await sidecar.transact(operations);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    if (bundled.error) throw bundled.error;
    if (taken.size < events.length) throw new Error(`the broker refused ${events.length - taken.size} events`);
    metrics.outboxWaiting.set(0);
  }

  /** One after the other: what comes after a bundle that is not taken waits, so that their order stays. */
  async function publishBundles(events: readonly CloudEvent[]): Promise<{ taken: Set<string>; error?: Error }> {
    const taken = new Set<string>();
    try {
      for (const bundle of bundlesOf(events)) {
        await sidecar.publishBundle(USAGE_ENDED, bundle);
        for (const { id } of bundle) taken.add(id);
      }
      return { taken };
    } catch (error) {
      return { taken, error: error as Error };
    }
  }

  async function run(): Promise<void> {
    try {
      await new Promise<void>((resolve) => void later(resolve, GATHER_MS));
      again = false;
      const fresh = handed;
      handed = [];
      if (fresh.length > 0) await send(fresh);
      while (!stopped && look !== 'nothing') await send(await find());
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

  function wake(events?: readonly CloudEvent[]): void {
    if (events && handed.length < HANDED) handed.push([...events]);
    else look = 'all';
    begin();
  }

  function begin(): void {
    again = true;
    if (running || stopped) return;
    callOff();
    running = run().finally(() => {
      running = undefined;
      if (stopped) return;
      callOff = later(lookAgain, everyMs);
      if (again && !failing) begin();
    });
  }

  function lookAgain(): void {
    // after a failure all that waits is taken up, however young
    if (look === 'nothing') look = failing ? 'all' : 'left behind';
    begin();
  }

  begin();
  return {
    // the relay works for everybody: its log lines must not carry the ids of the request that woke it
    wake: AsyncResource.bind(wake),
    stop: async () => {
      stopped = true;
      callOff();
      await running;
    },
  };
}
