import { randomUUID } from 'node:crypto';
import { buildFence, buildSpec } from '../../services/task-runner/test/support/build-spec';
import { PROBE_IMAGE, ProbeTasks } from './support/probe-tasks';
import { eventually } from './support/system';

/** Issue 5, point 5: what a service type's fence says is asked of Docker, and felt by a program that tries to get out. */

jest.setTimeout(120_000);

const MI = 1024 * 1024;
const INSTANCE = 'fence-test';
const tasks = new ProbeTasks(INSTANCE);
const { docker, runtime, logger, made } = tasks;
const start: ProbeTasks['start'] = (...given) => tasks.start(...given);

beforeAll(() => tasks.prepare());
afterEach(() => tasks.removeAll());
afterAll(() => tasks.cleanUp());

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
    expect(found.Config.Healthcheck).toEqual({ Test: ['NONE'] });
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
    const spec = buildSpec({ image: PROBE_IMAGE, fence: buildFence({ gpus: 2 }) });
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
