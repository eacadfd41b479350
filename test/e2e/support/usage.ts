import { randomUUID } from 'node:crypto';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Hex } from 'viem';
import type { Batch } from '../../../services/blockchain-forwarder/domain/batch';
import { FINAL_STAGES, type Stage } from '../../../services/blockchain-forwarder/domain/delivery';
import type { UsageState } from '../../../services/blockchain-forwarder/domain/usage-state';
import type { CloudEvent } from '../../../shared/contracts/events';
import { anchorsOn } from './chain';
import { call, system } from './system';

/** A record as `/api/usage` shows it, in the parts that tests look at. */
export interface Usage {
  id: string;
  usageHash: Hex;
  record: Record<string, unknown>;
  state: UsageState;
  batch: Batch | null;
  sinks: Record<string, { stage: Stage; since: string }>;
}

export interface DeadLetter {
  topic: string;
  eventId: string | null;
  reason: string;
  detail: string;
  event: unknown;
}

/** What a test does not care about is filled in; the pool and the task do not exist. */
export function taskStopped(userId: string, data: Record<string, unknown> = {}): CloudEvent<'task.stopped'> {
  const now = new Date().toISOString();
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'task-runner',
    type: 'task.stopped',
    time: now,
    datacontenttype: 'application/json',
    data: {
      taskId: randomUUID(),
      userId,
      serviceType: 'demo',
      startTime: now,
      allocationId: null,
      poolId: null,
      capacity: null,
      stopTime: now,
      duration: 'PT0S',
      reason: 'stopped_by_user',
      actor: 'system',
      exitCode: 0,
      ...data,
    },
  };
}

async function withNats<T>(servers: string, work: (connection: NatsConnection) => Promise<T>): Promise<T> {
  const connection = await connect({ servers });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

/** Straight to the broker, each under a message id of its own: as a relay that sends twice, or as a stranger. */
export function publishRaw(topic: string, ...messages: (object | string)[]): Promise<void> {
  return publishAt(system().natsUrl, topic, ...messages);
}

export function publishAt(natsUrl: string, topic: string, ...messages: (object | string)[]): Promise<void> {
  return withNats(natsUrl, async (connection) => {
    const stream = jetstream(connection);
    for (const message of messages) {
      const payload = typeof message === 'string' ? message : JSON.stringify(message);
      await stream.publish(topic, payload, { msgID: randomUUID() });
    }
  });
}

/** Messages that the dead-letter stream holds for a topic. */
export function deadLettersInStream(topic: string): Promise<number> {
  return withNats(system().natsUrl, async (connection) => {
    const manager = await jetstreamManager(connection);
    const subject = `dead.${topic}`;
    const { state } = await manager.streams.info('dead-letters', { subjects_filter: subject });
    return state.subjects?.[subject] ?? 0;
  });
}

/** All records of a user, as it sees them itself. */
export async function usageOf(token: string, query = ''): Promise<Usage[]> {
  const { status, body } = await call('GET', `blockchain-forwarder/api/usage?limit=1000${query}`, { token });
  if (status !== 200) throw new Error(`GET /api/usage answered ${status}: ${JSON.stringify(body)}`);
  return body as Usage[];
}

/** Whether its batch came to the end with these sinks. */
export function isDelivered(usage: Usage, ...sinks: string[]): boolean {
  return sinks.every((sink) => FINAL_STAGES.includes(usage.sinks[sink]?.stage ?? 'pending'));
}

/** How often the batch of each of these was anchored with its root, by the chain's own log. */
export async function timesAnchored(usages: readonly Usage[]): Promise<number[]> {
  const anchors = await anchorsOn(system().evm!);
  return usages.map(
    ({ batch }) => anchors.filter(({ batchId, root }) => batchId === batch?.batchId && root === batch?.root).length,
  );
}
