import fs from 'node:fs';
import path from 'node:path';
import { JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { parse } from 'yaml';
import { z } from 'zod';
import { root } from './instance';

/** Consumers of versions before this one, which no component names any more: left alone they would pile up messages. */
const RETIRED = ['forwarder-task-stopped', 'forwarder-task-failed', 'forwarder-allocation-released'];

/** Of the documents in components/ only JetStream components are of interest here. */
const componentSchema = z.object({
  spec: z.object({
    type: z.literal('pubsub.jetstream'),
    metadata: z.array(z.object({ name: z.string(), value: z.string().optional() })),
  }),
});

/** What a durable consumer takes from the metadata of its component; undefined: the component leaves it to the broker. */
interface DurableConsumer {
  name: string;
  ackWaitMs: number | undefined;
  maxDeliver: number | undefined;
  maxAckPending: number | undefined;
}

/**
 * Brings the durable consumers that exist already to what components/ says now. daprd creates them, but refuses one that
 * differs from its component ("consumer name already in use") and then never delivers an event: without this, a changed
 * ackWait would need the consumer to be deleted by hand, and with it the place up to which it has read. Removes the retired.
 */
export async function updateConsumers(manager: JetStreamManager, streams: string[]): Promise<void> {
  for (const consumer of durableConsumers()) {
    for (const stream of streams) {
      await whereItIs(() =>
        manager.consumers.update(stream, consumer.name, {
          ...(consumer.ackWaitMs === undefined ? {} : { ack_wait: nanos(consumer.ackWaitMs) }),
          ...(consumer.maxDeliver === undefined ? {} : { max_deliver: consumer.maxDeliver }),
          ...(consumer.maxAckPending === undefined ? {} : { max_ack_pending: consumer.maxAckPending }),
        }),
      );
    }
  }
  for (const name of RETIRED) {
    for (const stream of streams) await whereItIs(() => manager.consumers.delete(stream, name));
  }
}

/** Passes over a consumer that is not in this stream, or not created yet. */
async function whereItIs(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof JetStreamApiError && error.status === 404)) throw error;
  }
}

function durableConsumers(): DurableConsumer[] {
  const folder = path.join(root, 'components');
  return fs
    .readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => {
      const component = componentSchema.safeParse(parse(fs.readFileSync(path.join(folder, file), 'utf8')));
      if (!component.success) return [];
      const { metadata } = component.data.spec;
      const value = (name: string): string | undefined => metadata.find((entry) => entry.name === name)?.value;
      const number = (name: string): number | undefined =>
        value(name) === undefined ? undefined : Number(value(name));
      const seconds = /^(\d+)s$/.exec(value('ackWait') ?? '')?.[1];
      const name = value('durableName');
      if (name === undefined) return [];
      return [
        {
          name,
          ackWaitMs: seconds === undefined ? undefined : Number(seconds) * 1000,
          maxDeliver: number('maxDeliver'),
          maxAckPending: number('maxAckPending'),
        },
      ];
    });
}
