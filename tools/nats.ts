import path from 'node:path';
import { jetstreamManager, JetStreamApiError, type StreamConfig } from '@nats-io/jetstream';
import { connect, nanos, type NatsConnection } from '@nats-io/transport-node';
import { updateConsumers } from './consumers';
import { Failure } from './failure';
import type { Instance } from './instance';
import { logFile, startSupervised } from './processes';
import { until } from './progress';

type Stream = Pick<StreamConfig, 'name' | 'subjects'> & Partial<StreamConfig>;

/**
 * The streams, for daprd makes none. Dead letters have one of their own: the id of an event is its JetStream message id,
 * and a stream drops a second message with the same id within its duplicate window, so that a dead letter in the stream of
 * its own event would be lost, silently.
 */
const STREAMS: Stream[] = [
  {
    name: 'events',
    subjects: ['task.*', 'allocation.*', 'usage.*'],
    storage: 'file',
    // how late a relay may send an event again without doubling it; consumers de-duplicate by event id beyond that
    duplicate_window: nanos(120_000),
    // consumers read within seconds; a week is for the one that was away
    max_age: nanos(7 * 24 * 3600_000),
  },
  { name: 'dead-letters', subjects: ['dead.>'], storage: 'file', duplicate_window: nanos(120_000) },
];

/** The broker: NATS_URL when given, otherwise a nats-server of our own on loopback. Its streams exist when this returns. */
export async function startNats(instance: Instance, natsServer: string): Promise<{ url: string; ours: boolean }> {
  const given = process.env.NATS_URL;
  const url = given ?? `nats://127.0.0.1:${instance.ports.nats}`;
  if (!given) {
    const store = path.join(instance.runDir, 'nats');
    const listen = ['--addr', '127.0.0.1', '--port', String(instance.ports.nats)];
    startSupervised(instance, 'nats', [natsServer, ...listen, '--jetstream', '--store_dir', store]);
  }
  const cure = given ? 'NATS_URL is set, but' : `nats-server does not come up (see ${logFile(instance, 'nats')}):`;
  const connection = await connectOrFail(url, given ? 5_000 : 20_000, cure);
  try {
    await ensureStreams(connection);
  } finally {
    await connection.close();
  }
  return { url, ours: !given };
}

async function connectOrFail(url: string, timeoutMs: number, cure: string): Promise<NatsConnection> {
  let connection: NatsConnection | undefined;
  let last: unknown;
  await until(async () => {
    try {
      connection = await connect({ servers: url, reconnect: false, timeout: 2000 });
      return true;
    } catch (error) {
      last = error;
      return false;
    }
  }, timeoutMs);
  if (!connection) throw new Failure(`${cure} the broker does not answer: ${String(last)}`);
  return connection;
}

async function ensureStreams(connection: NatsConnection): Promise<void> {
  const manager = await jetstreamManager(connection);
  for (const stream of STREAMS) {
    try {
      await manager.streams.info(stream.name);
      await manager.streams.update(stream.name, stream);
    } catch (error) {
      if (!(error instanceof JetStreamApiError && error.status === 404)) throw error;
      await manager.streams.add(stream);
    }
  }
  await updateConsumers(
    manager,
    STREAMS.map(({ name }) => name),
  );
}
