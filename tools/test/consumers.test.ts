import { JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { updateConsumers } from '../consumers';

const fault = (code: number) => new JetStreamApiError({ code, err_code: 10_000, description: 'as the broker says' });

/** A broker that has these consumers, in the stream `events`. */
function broker(names: string[], failure?: Error) {
  const has = new Set(names);
  const updated: string[] = [];
  const find = (stream: string, name: string) => {
    if (failure) throw failure;
    if (stream !== 'events' || !has.has(name)) throw fault(404);
  };
  const consumers = {
    update: async (stream: string, name: string) => {
      find(stream, name);
      updated.push(name);
    },
    delete: async (stream: string, name: string) => {
      find(stream, name);
      has.delete(name);
    },
  };
  return { manager: { consumers } as unknown as JetStreamManager, has, updated };
}

test('consumers that components name are brought up to date, retired ones go, those of others stay as they are', async () => {
  const { manager, has, updated } = broker([
    'forwarder-usage-ended',
    'forwarder-task-stopped',
    'task-stopped-of-others',
  ]);
  await updateConsumers(manager, ['events', 'dead-letters']);
  expect(updated).toEqual(['forwarder-usage-ended']);
  expect([...has]).toEqual(['forwarder-usage-ended', 'task-stopped-of-others']);
});

test('a broker that has no consumer yet is no failure; one that answers with another error is', async () => {
  await updateConsumers(broker([]).manager, ['events', 'dead-letters']);
  await expect(updateConsumers(broker([], fault(503)).manager, ['events'])).rejects.toThrow('as the broker says');
});
