import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import os from 'node:os';
import { closeTasksOff, mayCloseOff, openTasks } from '../../tools/task-firewall';
import { ProbeTasks } from './support/probe-tasks';
import { system } from './support/system';

/** Issue 5, point 5: what a program in a task's container reaches, tried from inside. */

jest.setTimeout(120_000);

const INSTANCE = 'network-test';
const tasks = new ProbeTasks(INSTANCE);
type Probe = Awaited<ReturnType<ProbeTasks['start']>>;

/** Something that listens on every address of the host. */
const host = net.createServer((socket) => socket.destroy());
let port: number;

beforeAll(async () => {
  await tasks.prepare();
  await once(host.listen(0, '0.0.0.0'), 'listening');
  port = (host.address() as net.AddressInfo).port;
});
beforeEach(() => closeTasksOff(INSTANCE));
afterEach(async () => {
  await openTasks(INSTANCE);
  await tasks.removeAll();
});
afterAll(async () => {
  host.close();
  await tasks.cleanUp();
});

/** Addresses of the host but loopback, those of the bridges included. */
function hostAddresses(): string[] {
  return Object.values(os.networkInterfaces()).flatMap((all) =>
    (all ?? []).flatMap(({ family, address, internal }) => (family === 'IPv4' && !internal ? [address] : [])),
  );
}

/** Everything of the running system that listens, by its port on this machine. */
function portsOfTheSystem(): number[] {
  const { databaseUrl, natsUrl, evm, services } = system();
  const urls = Object.values(services).flatMap((one) => [one.url, one.daprHttpUrl]);
  return [databaseUrl, natsUrl, evm!.rpcUrl, ...urls].map((url) => Number(new URL(url).port));
}

async function bridgeAddress(): Promise<string> {
  const found = await tasks.docker.getNetwork(`resource-manager-${INSTANCE}-closed`).inspect();
  return found.IPAM?.Config?.[0]?.Gateway ?? 'none';
}

/** Which of these the task reaches. */
async function reached({ ask }: Probe, addresses: string[]): Promise<string[]> {
  const outcomes = await Promise.all(addresses.map(async (to) => ({ to, outcome: await ask(`connect?to=${to}`) })));
  return outcomes.flatMap(({ to, outcome }) => (outcome === 'open' ? [to] : []));
}

/** What only the host's firewall closes is tried where that is ours to set. */
const byFirewall = (addresses: string[]): string[] => (mayCloseOff() ? addresses : []);

test('when a task has no network, then it reaches no task, no host, no system, no metadata, no internet; its page is served', async () => {
  const task = await tasks.start({});
  const other = await tasks.start({});
  const bridge = await bridgeAddress();
  const forbidden = [
    `${other.address}:8080`,
    ...hostAddresses()
      .filter((at) => at !== bridge)
      .map((at) => `${at}:${port}`),
    ...portsOfTheSystem().map((at) => `${bridge}:${at}`),
    `${bridge}:${other.port}`,
    `${bridge}:2375`,
    '169.254.169.254:80',
    '1.1.1.1:53',
    '[fe80::1%25eth0]:80',
    ...byFirewall([`${bridge}:${port}`, `${bridge}:22`]),
  ];
  expect(forbidden.length).toBeGreaterThan(15);
  expect(await reached(task, forbidden)).toEqual([]);
  expect(await task.ask('resolve?name=example.com')).not.toBe('open');
  expect(task.found.HostConfig.Dns).toEqual(['127.0.0.1']);
  // loopback is the task's own
  expect(await reached(task, ['127.0.0.1:8080', `127.0.0.1:${port}`])).toEqual(['127.0.0.1:8080']);
  expect(await task.ask('read?path=/var/run/docker.sock')).toContain('no such file');
  expect(await other.ask('healthz')).toBe('ok');
});

test('when nobody closes the host off, then its address on the bridge is what a task without network reaches, and no other', async () => {
  await openTasks(INSTANCE);
  const task = await tasks.start({});
  const bridge = `${await bridgeAddress()}:${port}`;
  const all = hostAddresses().map((at) => `${at}:${port}`);
  expect(await reached(task, all)).toEqual([bridge]);
  await closeTasksOff(INSTANCE);
  expect(await reached(task, byFirewall(all))).toEqual([]);
});

test('when ports are bound to all addresses, then a page is served from elsewhere, and a task still reaches nothing', async () => {
  const [outside = 'none'] = hostAddresses();
  const everywhere = tasks.runtimeAt('0.0.0.0');
  const task = await tasks.start({}, randomUUID(), everywhere, outside);
  const other = await tasks.start({}, randomUUID(), everywhere, outside);
  expect(task.found.HostConfig.NetworkMode).toBe(`resource-manager-${INSTANCE}-answers`);
  const ofHost = hostAddresses().flatMap((at) => [`${at}:${port}`, `${at}:${other.port}`]);
  expect(await reached(task, [`${other.address}:8080`, ...byFirewall([...ofHost, '169.254.169.254:80'])])).toEqual([]);
  expect(await other.ask('healthz')).toBe('ok');
});

test('when a task has the internet, then it reaches neither tasks nor the host nor its neighbourhood', async () => {
  const task = await tasks.start({ network: 'internet' });
  const other = await tasks.start({ network: 'internet' });
  const closed = await tasks.start({});
  expect(task.found.HostConfig.NetworkMode).toBe(`resource-manager-${INSTANCE}-internet`);
  const ofHost = hostAddresses().map((at) => `${at}:${port}`);
  const ofTasks = [`${other.address}:8080`, `${closed.address}:8080`];
  expect(await reached(task, [...ofTasks, ...byFirewall([...ofHost, '169.254.169.254:80'])])).toEqual([]);
});
