import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { currentInstance, type Instance } from '../instance';
import { commandLine, logFile, runningPid, signal, startSupervised, stopProcesses } from '../processes';
import { until } from '../progress';

// names that markerOf() knows: `main.js` is what the command line of a service ends with
const NAME = 'service';

let instance: Instance;
let script: string;

beforeEach(() => {
  instance = { ...currentInstance({}), runDir: fs.mkdtempSync(path.join(os.tmpdir(), 'supervise-')) };
  script = path.join(instance.runDir, 'main.js');
  fs.writeFileSync(script, `console.log('up'); setInterval(() => {}, 1000);`);
});

afterEach(async () => {
  await stopProcesses(instance, [NAME], 3000);
  fs.rmSync(instance.runDir, { recursive: true });
});

const log = (): string =>
  fs.existsSync(logFile(instance, NAME)) ? fs.readFileSync(logFile(instance, NAME), 'utf8') : '';
const ups = (): number => log().match(/^up$/gm)?.length ?? 0;

async function up(times: number): Promise<number> {
  expect(await until(() => ups() === times && runningPid(instance, NAME) !== undefined, 10_000)).toBe(true);
  return runningPid(instance, NAME) ?? 0;
}

describe('tools/supervise.sh', () => {
  test('when its command is killed with -9, it is started again', async () => {
    startSupervised(instance, NAME, [process.execPath, script]);
    const first = await up(1);
    signal(first, 'SIGKILL');
    expect(await up(2)).not.toBe(first);
    expect(log()).toContain('ended with code 137; starting it again');
  });

  test('while hold/NAME exists, a dead command stays dead; afterwards it comes back', async () => {
    startSupervised(instance, NAME, [process.execPath, script]);
    const pid = await up(1);
    const hold = path.join(instance.runDir, 'hold', NAME);
    fs.mkdirSync(path.dirname(hold));
    fs.writeFileSync(hold, '');
    signal(pid, 'SIGKILL');
    expect(await until(() => log().includes('ended with code'), 5000)).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(ups()).toBe(1);
    fs.rmSync(hold);
    await up(2);
  });

  test('when it is stopped, the command gets TERM and may finish, and both are gone', async () => {
    fs.writeFileSync(
      script,
      `process.on('SIGTERM', () => setTimeout(() => { console.log('finished'); process.exit(0); }, 300));
       console.log('up'); setInterval(() => {}, 1000);`,
    );
    startSupervised(instance, NAME, [process.execPath, script]);
    const pid = await up(1);
    await stopProcesses(instance, [NAME], 5000);
    expect(log()).toContain('finished');
    expect(commandLine(pid)).toBeUndefined();
    expect(fs.readdirSync(path.join(instance.runDir, 'pids'))).toEqual([]);
  });

  test('when the command ignores TERM, it is killed in the end', async () => {
    fs.writeFileSync(script, `process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000);`);
    startSupervised(instance, NAME, [process.execPath, script]);
    const pid = await up(1);
    await stopProcesses(instance, [NAME], 500);
    expect(commandLine(pid)).toBeUndefined();
  });

  test('when a pid file names a process of somebody else, it is left alone', async () => {
    fs.mkdirSync(path.join(instance.runDir, 'pids'));
    // this test itself: jest's command line holds no main.js
    fs.writeFileSync(path.join(instance.runDir, 'pids', NAME), String(process.pid));
    expect(runningPid(instance, NAME)).toBeUndefined();
    await stopProcesses(instance, [NAME], 100);
  });
});
