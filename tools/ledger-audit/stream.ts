import { jetstream, jetstreamManager, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { eventsIn, type Pending } from './events';

/** Streams that the forwarder consumes, and how its durable consumers are called (components/). */
const STREAMS = ['events', 'dead-letters'];
const CONSUMERS = /^forwarder-/;

interface Unread {
  stream: string;
  subject: string;
  /** The last message that is certainly done with. */
  done: number;
}

/**
 * Events in the broker that the forwarder has not acknowledged. How far it is must be read before the database is: what it
 * acknowledges later is, for the audit, still on its way.
 */
export async function unreadEvents(url: string): Promise<Pending> {
  const connection = await connected(url);
  try {
    const manager = await jetstreamManager(connection);
    const unread = (await Promise.all(STREAMS.map((stream) => unreadOf(manager, stream)))).flat();
    return { events: () => eventsBehind(url, unread) };
  } finally {
    await connection.close();
  }
}

/** Where there is no broker to ask: asked after all, it says why. */
export function nobodyKnows(reason: string): Pending {
  return {
    // eslint-disable-next-line require-yield -- it never comes to an event
    async *events(): AsyncIterable<string> {
      throw new Error(reason);
    },
  };
}

async function connected(url: string): Promise<NatsConnection> {
  try {
    return await connect({ servers: url, reconnect: false, timeout: 5_000 });
  } catch (error) {
    throw new Error(`the broker does not answer: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

async function unreadOf(manager: JetStreamManager, stream: string): Promise<Unread[]> {
  const unread: Unread[] = [];
  try {
    for await (const consumer of manager.consumers.list(stream)) {
      const { durable_name: name, filter_subject: subject } = consumer.config;
      if (!name || !CONSUMERS.test(name) || !subject) continue;
      unread.push({ stream, subject, done: consumer.ack_floor.stream_seq });
    }
  } catch (error) {
    // a broker that nobody has used yet
    if (!(error instanceof JetStreamApiError && error.status === 404)) throw error;
  }
  return unread;
}

async function* eventsBehind(url: string, unread: readonly Unread[]): AsyncIterable<string> {
  const connection = await connected(url);
  try {
    for (const { stream, subject, done } of unread) yield* messagesOf(connection, stream, subject, done + 1);
  } finally {
    await connection.close();
  }
}

async function* messagesOf(
  connection: NatsConnection,
  stream: string,
  subject: string,
  from: number,
): AsyncIterable<string> {
  const consumer = await jetstream(connection).consumers.get(stream, {
    filter_subjects: subject,
    opt_start_seq: from,
  });
  // what is there now; what is published meanwhile was in no outbox when the database was read
  let { num_pending: left } = await consumer.info();
  while (left > 0) {
    const messages = await consumer.fetch({ max_messages: Math.min(left, 500), expires: 5_000 });
    let got = 0;
    for await (const message of messages) {
      got += 1;
      yield* eventsIn(message.string());
    }
    if (got === 0) throw new Error(`the broker does not give out the messages of ${subject}`);
    left -= got;
  }
}
