// npm run bench:tasks: starts and stops of containers beside the docker command line, lists of a million tasks beside SQL, and
// what watching costs, with the targets of issue 5. Ends with 1 when one that must be met is missed. `npm run bench:tasks --
// containers` or `-- history` measures that part only.
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { readServiceTypes } from '../../../services/task-runner/adapters/service-types-file';
import type { DevInfo } from '../../../tools/dev-info';
import { provideDocker } from '../../../tools/docker-engine';
import { findDocker, removeContainers } from '../../../tools/docker';
import type { Instance } from '../../../tools/instance';
import { runningPid } from '../../../tools/processes';
import { cpuBetween, cpuOf, residentMb } from '../cpu';
import { send, sendList } from '../http';
import { percentile, type Measurement } from '../measure';
import { runBench, say, type Target } from '../run';
import { withSystem } from '../system';
import { dockerRemove, dockerRun, serves } from './docker-cli';
import { LISTS, listBySql, loadMillion, MILLION, p95 } from './history';

const PARTS = ['containers', 'history'];
const ROUNDS = 15;
const CROWD = 10;
const CROWD_ROUNDS = 5;
const WATCHED = 100;
const WATCH_SECONDS = 30;
const PAGES = 150;

/** What one side took, in milliseconds. */
type Sides = Record<'service' | 'bare', number[]>;
const sides = (): Sides => ({ service: [], bare: [] });

function measured(latencies: number[]): Measurement {
  const seconds = latencies.reduce((sum, ms) => sum + ms, 0) / 1000;
  return { count: latencies.length, seconds, latencies: [...latencies].sort((a, b) => a - b) };
}
const median = (latencies: number[]): number => percentile(measured(latencies), 0.5);

/** Says every figure, and how the medians compare. */
function ratioOf(title: string, { service, bare }: Sides): number {
  const line = (name: string, all: number[]): string =>
    `  ${name.padEnd(8)} median ${median(all).toFixed(0)} ms   (${all.map((ms) => ms.toFixed(0)).join(' ')})`;
  const ratio = median(service) / median(bare);
  say(`\n${title}\n${line('service', service)}\n${line('docker', bare)}\n  service / docker = ${ratio.toFixed(2)}`);
  return ratio;
}

async function timed<T>(into: number[], work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await work();
  into.push(performance.now() - began);
  return result;
}

class Containers {
  private readonly url: string;
  private readonly type = readServiceTypes('services/task-runner/service-types.yaml').types.get('demo')!;
  private readonly network: string;

  constructor(
    private readonly system: DevInfo,
    private readonly instance: Instance,
  ) {
    this.url = `${system.services['task-runner']!.url}/api/tasks`;
    this.network = `resource-manager-${instance.label}-closed`;
  }

  /** As much capacity as all of this needs. */
  async makeRoom(): Promise<void> {
    const { services, tokens } = this.system;
    const pools = `${services['resource-pool']!.url}/resource_pools`;
    const [pool] = await sendList(`${pools}?name=local-cpu`, tokens.admin);
    const { name, resource_type, location } = pool!;
    const body = { name, resource_type, location, total_capacity: 1_000_000 };
    await send('PUT', `${pools}/${String(pool!['id'])}`, tokens.admin, 200, body);
  }

  /** Everybody has a user of its own, so that no limit for one user is met. */
  async start(): Promise<string> {
    const body = { userId: randomUUID(), serviceType: 'demo' };
    const { taskId, iframeUrl } = await send('POST', this.url, this.system.tokens.admin, 201, body);
    await serves(String(iframeUrl));
    return String(taskId);
  }

  async stop(taskId: string): Promise<void> {
    await send('DELETE', `${this.url}/${taskId}`, this.system.tokens.admin, 200);
  }

  private async run(): Promise<string> {
    const { container, url } = await dockerRun(this.type, this.network);
    await serves(url + this.type.readiness.path);
    return container;
  }

  /** One after the other, in turns; each goes first as often as the other. */
  async oneByOne(): Promise<Target[]> {
    const [starts, stops] = [sides(), sides()];
    const service = async (): Promise<void> => {
      const task = await timed(starts.service, () => this.start());
      await timed(stops.service, () => this.stop(task));
    };
    const bare = async (): Promise<void> => {
      const container = await timed(starts.bare, () => this.run());
      await timed(stops.bare, () => dockerRemove(container, this.type.stopGraceSeconds));
    };
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const turn of round % 2 === 0 ? [service, bare] : [bare, service]) await turn();
    }
    return [
      {
        measure: 'POST to ready page / docker run and the same probe',
        measured: ratioOf('from nothing to a page, one after the other', starts),
        must: 1.3,
        aim: 1.1,
      },
      {
        measure: 'DELETE to gone / docker stop and rm, same grace',
        measured: ratioOf('from a page to nothing', stops),
        must: 1.3,
        aim: 1.1,
      },
    ];
  }

  async atOnce(): Promise<Target> {
    const starts = sides();
    const crowd = <T>(work: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: CROWD }, work));
    const service = async (): Promise<void> => {
      const tasks = await timed(starts.service, () => crowd(() => this.start()));
      await Promise.all(tasks.map((task) => this.stop(task)));
    };
    const bare = async (): Promise<void> => {
      const made = await timed(starts.bare, () => crowd(() => this.run()));
      await Promise.all(made.map((container) => dockerRemove(container, this.type.stopGraceSeconds)));
    };
    for (let round = 0; round < CROWD_ROUNDS; round += 1) {
      for (const turn of round % 2 === 0 ? [service, bare] : [bare, service]) await turn();
    }
    const ratio = ratioOf(`${CROWD} at once, until the last page`, starts);
    return { measure: `${CROWD} at once / ${CROWD} parallel docker run`, measured: ratio, must: 1.5, aim: 1.2 };
  }

  /** Share of one core that is spent while nothing happens but time. */
  async watch(): Promise<Target> {
    const tasks: string[] = [];
    while (tasks.length < WATCHED) {
      tasks.push(...(await Promise.all(Array.from({ length: CROWD }, () => this.start()))));
    }
    const pids = { service: this.pid('task-runner'), sidecar: this.pid('daprd-task-runner') };
    await pause(5);
    const before = cpuOf(pids);
    await pause(WATCH_SECONDS);
    const spent = cpuBetween(before, cpuOf(pids));
    const share = (micros = 0): number => (micros / 1e6 / WATCH_SECONDS) * 100;
    const [service, sidecar] = [share(spent['service']), share(spent['sidecar'])];
    say(
      `\n${WATCHED} running tasks for ${WATCH_SECONDS} s\n  CPU of one core: service ${service.toFixed(2)} %, sidecar ${sidecar.toFixed(2)} %`,
    );
    while (tasks.length > 0) await Promise.all(tasks.splice(0, CROWD).map((task) => this.stop(task)));
    return {
      measure: `CPU watching ${WATCHED} running tasks`,
      measured: service + sidecar,
      must: 5,
      aim: 2,
      unit: '%',
    };
  }

  private pid = (name: string): number => pidOf(this.instance, name);
}

const pause = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

function pidOf(instance: Instance, name: string): number {
  const pid = runningPid(instance, name);
  if (pid === undefined) throw new Error(`${name} does not run`);
  return pid;
}

async function measureContainers(system: DevInfo, instance: Instance): Promise<Target[]> {
  const containers = new Containers(system, instance);
  await containers.makeRoom();
  // the first fills caches, and makes the network that both sides use
  await containers.stop(await containers.start());
  const [start, stop] = await containers.oneByOne();
  return [start!, await containers.atOnce(), stop!, await containers.watch()];
}

async function measureHistory({ databaseUrl, services, tokens }: DevInfo, instance: Instance): Promise<Target[]> {
  const database = new Client({ connectionString: databaseUrl });
  await database.connect();
  try {
    const began = performance.now();
    await loadMillion(database);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    say(`\nnote      ${MILLION} tasks were written by SQL, in ${seconds} s\n\npages of 100 of them, p95`);
    const url = `${services['task-runner']!.url}/api/tasks?limit=100`;
    const ratios: number[] = [];
    for (const { name, who, path, query } of LISTS) {
      const took = sides();
      for (let page = -10; page < PAGES; page += 1) {
        const into = page < 0 ? sides() : took; // the first of each fill caches
        const turns = [
          () => timed(into.service, async () => (await sendList(url + path, tokens[who])).length),
          () => timed(into.bare, () => listBySql(database, name, query)),
        ];
        for (const turn of page % 2 === 0 ? turns : turns.reverse()) {
          if ((await turn()) < 100) throw new Error(`a page ${name} is not full`);
        }
      }
      const [service, bare] = [p95(measured(took.service)), p95(measured(took.bare))];
      ratios.push(service / bare);
      say(
        `  ${name.padEnd(20)} service ${service.toFixed(2)} ms, sql ${bare.toFixed(2)} ms: ${(service / bare).toFixed(2)}`,
      );
    }
    const memory = residentMb(pidOf(instance, 'task-runner'));
    return [
      {
        measure: 'list page of 100 in 1,000,000, p95 / bare SQL, the worst',
        measured: Math.max(...ratios),
        must: 2,
        aim: 1.3,
      },
      { measure: 'memory with 1,000,000 tasks in history', measured: memory, must: 200, aim: 120, unit: 'MB' },
    ];
  } finally {
    await database.end();
  }
}

runBench('bench:tasks', PARTS, async (chosen) => {
  const stopDocker = await provideDocker();
  try {
    const docker = await findDocker();
    if (!docker) throw new Error('no Docker Engine answers');
    return await withSystem({ LOG_LEVEL: 'warn' }, async (system, instance) => {
      try {
        return [
          ...(chosen === 'history' ? [] : await measureContainers(system, instance)),
          ...(chosen === 'containers' ? [] : await measureHistory(system, instance)),
        ];
      } finally {
        await removeContainers(docker, instance);
      }
    });
  } finally {
    await stopDocker();
  }
});
