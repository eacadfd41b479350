import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { silentLogger, type Logger } from '../../logging/logger';
import { isNatsUrl, keepBroker } from '../broker';
import { daprError, useFakeDaprd } from './fake-daprd';

/** What the real components answer is held by test/e2e/own/broker-long-away.test.ts. */

const daprd = useFakeDaprd();

const failed = (reason: string) =>
  daprError(
    'ERR_PUBSUB_PUBLISH_MESSAGE',
    `error when publishing to topic connection-probe in pubsub pubsub: ${reason}`,
  );
const FOR_GOOD = failed('nats: connection closed');
const ends = (): number => daprd.calls.filter(({ path }) => path === '/v1.0/shutdown').length;

/** The sidecar answers probes so, one component after the other. */
function probesAnswer(...answers: { status: number; body: unknown }[]): void {
  daprd.components = answers.map((_, at) => ({ name: `pubsub-${at}`, type: 'pubsub.jetstream' }));
  daprd.answer = ({ path }) => {
    const [, at] = /\/publish\/pubsub-(\d)\//.exec(path) ?? [];
    return at === undefined ? { status: 204 } : answers[Number(at)]!;
  };
}

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

async function listen(greet: (socket: Socket) => unknown): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    greet(socket);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const broker = () => listen((socket) => socket.write('INFO {"server_id":"x"}\r\n'));
const proxyWithoutServer = () => listen((socket) => socket.destroy());
/** A port on which nobody listens. */
async function away(): Promise<string> {
  const address = await proxyWithoutServer();
  await new Promise((resolve) => servers.pop()!.close(resolve));
  return address;
}

/** Looks so many times, and then is stopped. @returns what it has logged as an error */
async function look(
  times: number,
  natsUrl: string | undefined,
  between?: (look: number) => unknown,
): Promise<string[]> {
  const stopping = new AbortController();
  const errors: string[] = [];
  const logger: Logger = { ...silentLogger, error: (text) => void errors.push(text) };
  let looks = 0;
  const pause = async (): Promise<void> => {
    await between?.(looks);
    // the look after this pause is the last one
    if (++looks === times) stopping.abort();
  };
  await keepBroker({ brokerUrl: natsUrl, sidecar: daprd.sidecar, logger, stopping: stopping.signal, pause });
  expect(looks).toBe(times);
  return errors;
}

test.each([
  ['is well', failed('nats: no response from stream')],
  ['still looks for the broker', failed('nats: timeout')],
  ['has no such component any more', daprError('ERR_PUBSUB_NOT_FOUND', 'pubsub pubsub is not found')],
])('a sidecar that %s is left alone', async (_name, answer) => {
  probesAnswer(answer, answer);
  expect(await look(2, await broker())).toEqual([]);
  expect(daprd.calls).toHaveLength(4);
  expect(ends()).toBe(0);
});

test('one that has given the broker up in one component goes on while it is away, said once, and ends when it is back', async () => {
  probesAnswer(failed('nats: no response from stream'), FOR_GOOD);
  const gone = await away();
  const errors = await look(3, `nats://user:password@${gone}`);
  expect([ends(), errors]).toEqual([0, ['the sidecar has given the broker up: waiting for it']]);
  expect(await look(1, `nats://user:password@${await broker()}`)).toEqual([]);
  expect(ends()).toBe(1);
  expect(daprd.calls.at(-1)!.headers['dapr-api-token']).toBe('sidecar-token');
});

test('that a proxy takes the connection does not mean that the broker is back', async () => {
  probesAnswer(FOR_GOOD);
  await look(1, await proxyWithoutServer());
  expect(ends()).toBe(0);
});

test('one of several servers is enough', async () => {
  probesAnswer(FOR_GOOD);
  await look(1, `${await away()}, nats://${await broker()}`);
  expect(ends()).toBe(1);
});

test('without BROKER_URL it says what to do, once for each time, and ends nothing', async () => {
  probesAnswer(FOR_GOOD);
  const errors = await look(5, undefined, (number) =>
    probesAnswer(number === 2 ? failed('nats: no response from stream') : FOR_GOOD),
  );
  const said = 'the sidecar has given the broker up: restart it when the broker is back, or set BROKER_URL';
  expect([errors, ends()]).toEqual([[said, said], 0]);
});

test('a sidecar that refuses to end is asked again', async () => {
  probesAnswer(FOR_GOOD);
  const { answer } = daprd;
  daprd.answer = (call) => (call.path === '/v1.0/shutdown' && ends() === 1 ? { status: 500 } : answer(call));
  await look(2, await broker());
  expect(ends()).toBe(2);
});

test('only JetStream is asked, by a message with an id: another broker would make a topic of it', async () => {
  probesAnswer(failed('nats: no response from stream'));
  daprd.components.push({ name: 'kafka', type: 'pubsub.kafka' }, { name: 'statestore', type: 'state.postgresql' });
  await look(1, await broker());
  expect(daprd.calls.map(({ path, body }) => [path, body])).toEqual([
    ['/v1.0/publish/pubsub-0/connection-probe?metadata.rawPayload=true', { id: 'connection-probe' }],
  ]);
});

test.each([
  ['nats://broker:4222', true],
  ['tls://user:password@broker', true],
  ['broker', true],
  ['nats://[::1]:4222, nats://b:4222', true],
  ['http://broker:4222', false],
  ['nats://', false],
  ['nats://a:4222,', false],
  ['nats://a:70000', false],
])('%s is a URL of NATS: %p', (text, expected) => {
  expect(isNatsUrl(text)).toBe(expected);
});
