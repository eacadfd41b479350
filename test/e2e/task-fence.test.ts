import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import Docker from 'dockerode';
import { DockerRuntime } from '../../services/task-runner/adapters/docker-runtime';
import type { Fence } from '../../services/task-runner/domain/service-type';
import { buildFence, buildSpec } from '../../services/task-runner/test/build-spec';
import { recordingLogger } from '../../shared/testing/recording-logger';
import { ensureImage } from '../../tools/demo-image';
import { root } from '../../tools/instance';
import { closeTasksOff, mayCloseOff, openTasks } from '../../tools/task-firewall';
import { eventually, system } from './support/system';

/** Issue 5, point 5: what a service type's fence says is asked of Docker, and felt by a program that tries to get out. */

jest.setTimeout(120_000);

const INSTANCE = 'fence-test';
const IMAGE = 'resource-manager/probe:1';
const MI = 1024 * 1024;

const docker = new Docker();
const logger = recordingLogger();
const runtime = new DockerRuntime({ instance: INSTANCE, bindAddress: '127.0.0.1', logger });
const made: string[] = [];

/** A task that tries what it is told; `ask('connect?to=…')` answers what came of it. */
async function start(fence: Partial<Fence>, userId = randomUUID(), on = runtime, host = '127.0.0.1') {
  const spec = buildSpec({ userId, image: IMAGE, fence: buildFence(fence) });
  made.push(spec.taskId);
  const { port } = await on.start(spec);
  const ask = async (question: string, ms = 20_000): Promise<string> => {
    const answer = await fetch(`http://${host}:${port}/${question}`, { signal: AbortSignal.timeout(ms) });
    return answer.text();
  };
  // a connection made while the container comes up may hang for seconds
  await eventually('the probe serves', () =>
    ask('healthz', 500).then(
      (text) => text === 'ok',
      () => false,
    ),
  );
  const found = await docker.getContainer(`task-${spec.taskId}`).inspect();
  return { taskId: spec.taskId, port, ask, found };
}

beforeAll(async () => {
  await ensureImage(docker, IMAGE, path.join(root, 'test/e2e/support/probe'));
});
afterEach(async () => {
  await Promise.all(made.splice(0).map((taskId) => runtime.remove(taskId)));
});
afterAll(async () => {
  const filters = JSON.stringify({ label: [`resource-manager.instance=${INSTANCE}`] });
  const networks = await docker.listNetworks({ filters });
  await Promise.all(networks.map(({ Id }) => docker.getNetwork(Id).remove()));
  const { Volumes } = await docker.listVolumes({ filters });
  await Promise.all(Volumes.map(({ Name }) => docker.getVolume(Name).remove()));
});

describe('limits', () => {
  test('when a task runs, then Docker was asked for all that its fence says', async () => {
    const { found } = await start({
      cpuMillis: 250,
      readOnly: true,
      tmpfs: { '/tmp': MI },
      user: '1234:2345',
      volumes: [{ name: 'work', path: '/work' }],
    });
    expect(found.HostConfig).toMatchObject({
      CapDrop: ['ALL'],
      CapAdd: null,
      SecurityOpt: ['no-new-privileges'],
      Privileged: false,
      Memory: 64 * MI,
      MemorySwap: 64 * MI,
      NanoCpus: 250_000_000,
      PidsLimit: 32,
      Ulimits: [{ Name: 'nofile', Soft: 256, Hard: 256 }],
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': `rw,size=${MI}` },
      LogConfig: { Type: 'json-file', Config: { 'max-size': String(MI / 2), 'max-file': '2' } },
      NetworkMode: `resource-manager-${INSTANCE}-closed`,
    });
    expect(found.Config.User).toBe('1234:2345');
    expect(found.NetworkSettings.Ports['8080/tcp']).toEqual([{ HostIp: '127.0.0.1', HostPort: expect.any(String) }]);
  });

  test('when a program takes more memory than it has, then it is killed for it, and there is no swap to flee to', async () => {
    const { ask, taskId } = await start({ memoryBytes: 32 * MI });
    // cgroup v1 counts memory and swap together, v2 swap alone
    const both = await ask('read?path=/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes');
    const swap = await ask('read?path=/sys/fs/cgroup/memory.swap.max');
    expect([both.trim(), swap.trim()]).toEqual(
      expect.arrayContaining([both.startsWith('open ') ? '0' : String(32 * MI)]),
    );
    expect(await ask(`eat?bytes=${8 * MI}`)).toBe('got it');
    await expect(ask(`eat?bytes=${64 * MI}`)).rejects.toThrow();
    await eventually('it has ended', async () => (await runtime.inspect(taskId))?.running === false);
    expect(await runtime.inspect(taskId)).toMatchObject({ oomKilled: true, exitCode: 137 });
  });

  test('when a program starts processes or opens files without end, then it ends at its limits', async () => {
    const { ask } = await start({ pids: 32, openFiles: 100 });
    const processes = Number(await ask('processes?count=200'));
    expect(processes).toBeGreaterThan(0);
    expect(processes).toBeLessThan(32);
    const files = Number(await ask('files?count=1000'));
    expect(files).toBeGreaterThan(50);
    expect(files).toBeLessThan(100);
  });

  test('when a program computes on all cores, then it gets its share', async () => {
    const { ask } = await start({ cpuMillis: 200 });
    expect(Number(await ask('burn?ms=2000'))).toBeLessThan(2000 * 0.2 * 1.5);
  });

  test('when a program prints without end, then what is kept of it stays within its limit', async () => {
    const { ask, taskId } = await start({ logBytes: 128 * 1024, cpuMillis: 1000 });
    await ask(`say?bytes=${2 * MI}`);
    const kept = await docker.getContainer(`task-${taskId}`).logs({ stdout: true, stderr: true });
    // the two files of 64 KiB hold JSON around each line
    expect(kept.length).toBeGreaterThan(10_000);
    expect(kept.length).toBeLessThan(160 * 1024);
  });

  test('when GPUs are asked for, then Docker gets the request, and a host without any gives a clear refusal', async () => {
    const spec = buildSpec({ image: IMAGE, fence: buildFence({ gpus: 2 }) });
    made.push(spec.taskId);
    const outcome = await runtime.start(spec).then(
      () => 'started',
      (error: { code?: string }) => error.code,
    );
    const found = await docker.getContainer(`task-${spec.taskId}`).inspect();
    expect(found.HostConfig.DeviceRequests).toMatchObject([{ Count: 2, Capabilities: [['gpu']] }]);
    const { Runtimes } = (await docker.info()) as { Runtimes: Record<string, unknown> };
    expect(outcome).toBe('nvidia' in Runtimes ? 'started' : 'task.start_failed');
  });

  test('when the disk has no quotas, then one warning says so; where it has, a program ends at its limit', async () => {
    const { ask, found } = await start({ diskBytes: 8 * MI, user: '0:0' });
    const told = logger.lines.filter(({ activity }) => activity === 'task.disk').length;
    const quota = found.HostConfig.StorageOpt !== undefined && found.HostConfig.StorageOpt !== null;
    expect(told).toBe(quota ? 0 : 1);
    expect(await ask(`write?path=/big&bytes=${32 * MI}`)).toMatch(quota ? /no space|quota/ : /^written/);
  });
});

describe('privileges', () => {
  test('when a program looks at itself, then it has no capabilities, cannot gain any, and is under seccomp', async () => {
    for (const user of [null, '0:0', '1234:2345']) {
      const status = await (await start({ user })).ask('read?path=/proc/self/status');
      const of = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? 'not told';
      const uid = user === null ? '65532' : user.split(':')[0];
      expect(of('Uid')).toBe(Array(4).fill(uid).join('\t'));
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(of(set)).toBe('0000000000000000');
      expect(of('NoNewPrivs')).toBe('1');
      expect(of('Seccomp')).toBe('2');
    }
  });

  test('when the root is read-only, then only tmpfs, up to its size, and volumes can be written to', async () => {
    const { ask } = await start({
      readOnly: true,
      user: '0:0',
      tmpfs: { '/tmp': MI },
      volumes: [{ name: 'work', path: '/work' }],
    });
    expect(await ask('write?path=/x&bytes=1')).toContain('read-only file system');
    expect(await ask(`write?path=/tmp/x&bytes=${MI / 2}`)).toMatch(/^written/);
    expect(await ask(`write?path=/tmp/y&bytes=${MI}`)).toContain('no space left');
    expect(await ask('write?path=/work/x&bytes=1')).toMatch(/^written/);
  });
});

describe('volumes', () => {
  const volumes = [{ name: 'work', path: '/work' }];

  test('when a user of no privileges writes into a volume, then the next task of the same user finds it, and no other', async () => {
    const [ours, others] = [randomUUID(), randomUUID()];
    const fence = { volumes, user: '1234:2345', readOnly: true };
    const first = await start(fence, ours);
    expect(await first.ask('write?path=/work/x&bytes=7')).toBe('written 7');
    await runtime.remove(first.taskId);

    const second = await start(fence, ours);
    expect(await second.ask('read?path=/work/x')).toHaveLength(7);
    const other = await start(fence, others);
    expect(await other.ask('read?path=/work/x')).toContain('no such file');

    await runtime.remove(second.taskId);
    await runtime.volumes.remove({ userId: ours, serviceType: 'demo', name: 'work' });
    const third = await start(fence, ours);
    expect(await third.ask('read?path=/work/x')).toContain('no such file');
  });
});

describe('network', () => {
  /** What only the host's firewall closes is tried where that is ours to set. */
  const withFirewall = mayCloseOff() ? test : test.skip;
  /** Something that listens on every address of the host. */
  let host: net.Server;
  let port: number;
  beforeAll(async () => {
    host = net.createServer((socket) => socket.destroy()).listen(0, '0.0.0.0');
    await once(host, 'listening');
    port = (host.address() as net.AddressInfo).port;
    await closeTasksOff(INSTANCE);
  });
  afterAll(async () => {
    await openTasks(INSTANCE);
    host.close();
  });

  const hostAddresses = (): string[] =>
    Object.values(os.networkInterfaces()).flatMap((all) =>
      (all ?? []).flatMap(({ family, address }) => (family === 'IPv4' ? [address] : [])),
    );

  /** Everything of the running system that listens, by its port on this machine. */
  function portsOfTheSystem(): number[] {
    const { databaseUrl, natsUrl, evm, services } = system();
    const urls = [
      databaseUrl,
      natsUrl,
      evm.rpcUrl,
      ...Object.values(services).flatMap((one) => [one.url, one.daprHttpUrl]),
    ];
    return urls.map((url) => Number(new URL(url).port));
  }

  test('when a task has no network, then it reaches no task, no host, no system, no metadata, no internet; its page is served', async () => {
    const task = await start({});
    const other = await start({});
    const { Gateway: route, IPAddress: neighbour } = networkOf(other.found);
    const bridge = (await docker.getNetwork(`resource-manager-${INSTANCE}-closed`).inspect()).IPAM?.Config?.[0]
      ?.Gateway;
    expect(route).not.toBe(bridge);
    const forbidden = [
      `${neighbour}:8080`,
      ...[bridge, ...hostAddresses().filter((address) => !address.startsWith('127.'))].map((at) => `${at}:${port}`),
      ...portsOfTheSystem().map((at) => `${bridge}:${at}`),
      `${bridge}:2375`,
      `${bridge}:22`,
      '169.254.169.254:80',
      '1.1.1.1:53',
      '[fe80::1%25eth0]:80',
    ];
    const reached = await Promise.all(forbidden.map(async (to) => [to, await task.ask(`connect?to=${to}`)]));
    const open = reached.flatMap(([to, outcome]) => (outcome === 'open' ? [to] : []));
    expect(open).toEqual(mayCloseOff() ? [] : [`${bridge}:${port}`, `${bridge}:22`].filter((to) => open.includes(to)));
    expect(await task.ask('resolve?name=example.com')).not.toBe('open');
    expect(task.found.HostConfig.Dns).toEqual(['127.0.0.1']);
    // loopback is the task's own
    expect(await task.ask('connect?to=127.0.0.1:8080')).toBe('open');
    expect(await task.ask(`connect?to=127.0.0.1:${port}`)).toContain('refused');
    expect(await task.ask('read?path=/var/run/docker.sock')).toContain('no such file');
    expect(await other.ask('healthz')).toBe('ok');
  });

  withFirewall(
    'when nobody closes the host off, then its own address on the bridge is what a task without network can reach, and no other',
    async () => {
      await openTasks(INSTANCE);
      const { ask } = await start({});
      const bridge = (await docker.getNetwork(`resource-manager-${INSTANCE}-closed`).inspect()).IPAM?.Config?.[0]
        ?.Gateway;
      const reached = await Promise.all(
        hostAddresses().map(async (at) => [at, await ask(`connect?to=${at}:${port}`)] as const),
      );
      expect(reached.flatMap(([at, outcome]) => (outcome === 'open' ? [at] : []))).toEqual([bridge]);
      await closeTasksOff(INSTANCE);
      expect(await ask(`connect?to=${bridge}:${port}`)).not.toBe('open');
    },
  );

  withFirewall(
    'when ports are bound to all addresses, then a page is served from elsewhere, and a task still reaches nothing',
    async () => {
      const outside = hostAddresses().find((address) => address !== '127.0.0.1') ?? '127.0.0.1';
      const everywhere = new DockerRuntime({ instance: INSTANCE, bindAddress: '0.0.0.0', logger });
      const task = await start({}, randomUUID(), everywhere, outside);
      const other = await start({}, randomUUID(), everywhere, outside);
      expect(task.found.HostConfig.NetworkMode).toBe(`resource-manager-${INSTANCE}-answers`);
      const bridges = hostAddresses().filter((address) => !address.startsWith('127.'));
      const forbidden = [
        `${networkOf(other.found).IPAddress}:8080`,
        ...bridges.flatMap((at) => [`${at}:${port}`, `${at}:${other.port}`]),
        '169.254.169.254:80',
      ];
      const reached = await Promise.all(forbidden.map(async (to) => [to, await task.ask(`connect?to=${to}`)]));
      expect(reached.filter(([, outcome]) => outcome === 'open')).toEqual([]);
      expect(await other.ask('healthz')).toBe('ok');
    },
  );

  withFirewall(
    'when a task has the internet, then it reaches neither tasks nor the host nor its neighbourhood',
    async () => {
      const task = await start({ network: 'internet' });
      const other = await start({ network: 'internet' });
      const closed = await start({});
      expect(task.found.HostConfig.NetworkMode).toBe(`resource-manager-${INSTANCE}-internet`);
      const forbidden = [
        `${networkOf(other.found).IPAddress}:8080`,
        `${networkOf(closed.found).IPAddress}:8080`,
        ...hostAddresses()
          .filter((address) => !address.startsWith('127.'))
          .map((at) => `${at}:${port}`),
        '169.254.169.254:80',
      ];
      const reached = await Promise.all(forbidden.map(async (to) => [to, await task.ask(`connect?to=${to}`)]));
      expect(reached.filter(([, outcome]) => outcome === 'open')).toEqual([]);
    },
  );
});

function networkOf(found: Docker.ContainerInspectInfo): { Gateway: string; IPAddress: string } {
  const [first] = Object.values(found.NetworkSettings.Networks);
  if (!first) throw new Error('the container is on no network');
  return first;
}
