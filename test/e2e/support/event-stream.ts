import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { cloudEvent, type CloudEvent, type EventType } from '../../../shared/contracts/events';
import { system } from './system';

/**
 * All events of a type that the stream holds now, in order, as a consumer beside the system's own ones reads them. What is none,
 * such as the poison of poison.test.ts, is passed over.
 */
export async function eventsOf<T extends EventType>(type: T): Promise<CloudEvent<T>[]> {
  const connection = await connect({ servers: system().natsUrl });
  try {
    const consumer = await jetstream(connection).consumers.get('events', { filter_subjects: type });
    const events: CloudEvent<T>[] = [];
    for (;;) {
      const { num_pending: left } = await consumer.info();
      if (left === 0) return events;
      const messages = await consumer.fetch({ max_messages: Math.min(left, 1000), expires: 5_000 });
      for await (const message of messages) if (isEvent(type, message.string())) events.push(message.json());
    }
  } finally {
    await connection.close();
  }
}

function isEvent(type: EventType, text: string): boolean {
  try {
    return cloudEvent(type).safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}
