// Starts and stops of containers beside the docker command line, lists of a million tasks beside SQL, and what watching costs, with
// the targets of issue 5.
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
import { ranOn, runBench, say } from '../run';
import type { Size } from '../suite';
import type { Target } from '../target';
import { withSystem } from '../system';
import { dockerRemove, dockerRun, serves } from './docker-cli';
import { LISTS, listBySql, loadHistory, p95 } from './history';

const CROWD = 10;
const USUAL = { rounds: 15, crowdRounds: 5, watched: 100, watchSeconds: 30, history: 1_000_000, pages: 150 };
const SIZES: Record<Size, typeof USUAL> = {
  quick: { rounds: 2, crowdRounds: 1, watched: 10, watchSeconds: 3, history: 20_000, pages: 20 },
  usual: USUAL,
  full: USUAL,
};

/** What one side took, in milliseconds. */
type Sides = Record<'service' | 'bare', number[]>;
const sides = (): Sides => ({ service: [], bare: [] });

function measured(latencies: number[]): Measurement {
  const seconds = latencies.reduce((sum, ms) => sum + ms, 0) / 1000;
  return { count: latencies.length, seconds, latencies: [...latencies].sort((a, b) => a - b) };
}
const median = (latencies: number[]): number => percentile(measured(latencies), 0.5);

/** Says every figure, and how the medians compare. */
function compared(title: string, { service, bare }: Sides): Pick<Target, 'measured' | 'beside'> {
  const line = (name: string, all: number[]): string =>
    `  ${name.padEnd(8)} median ${median(all).toFixed(0)} ms   (${all.map((ms) => ms.toFixed(0)).join(' ')})`;
  const beside = { what: 'docker', own: median(service), bare: median(bare), unit: 'ms' };
  const measured = beside.own / beside.bare;
  say(`\n${title}\n${line('service', service)}\n${line('docker', bare)}\n  service / docker = ${measured.toFixed(2)}`);
  return { measured, beside };
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
    private readonly size: typeof USUAL,
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
    for (let round = 0; round < this.size.rounds; round += 1) {
      for (const turn of round % 2 === 0 ? [service, bare] : [bare, service]) await turn();
    }
    return [
      {
        measure: 'POST to ready page / docker run and the same probe',
        ...compared('from nothing to a page, one after the other', starts),
        must: 1.3,
        aim: 1.1,
      },
      {
        measure: 'DELETE to gone / docker stop and rm, same grace',
        ...compared('from a page to nothing', stops),
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
    for (let round = 0; round < this.size.crowdRounds; round += 1) {
      for (const turn of round % 2 === 0 ? [service, bare] : [bare, service]) await turn();
    }
    return {
      measure: `${CROWD} at once / ${CROWD} parallel docker run`,
      ...compared(`${CROWD} at once, until the last page`, starts),
      must: 1.5,
      aim: 1.2,
    };
  }

  /** Share of one core that is spent while nothing happens but time. */
  async watch(): Promise<Target> {
    const { watched, watchSeconds } = this.size;
    const tasks: string[] = [];
    while (tasks.length < watched) {
      tasks.push(...(await Promise.all(Array.from({ length: CROWD }, () => this.start()))));
    }
    const pids = { service: this.pid('task-runner'), sidecar: this.pid('daprd-task-runner') };
    await pause(5);
    const before = cpuOf(pids);
    await pause(watchSeconds);
    const spent = cpuBetween(before, cpuOf(pids));
    const share = (micros = 0): number => (micros / 1e6 / watchSeconds) * 100;
    const [service, sidecar] = [share(spent['service']), share(spent['sidecar'])];
    say(
      `\n${watched} running tasks for ${watchSeconds} s\n  CPU of one core: service ${service.toFixed(2)} %, sidecar ${sidecar.toFixed(2)} %`,
    );
    while (tasks.length > 0) await Promise.all(tasks.splice(0, CROWD).map((task) => this.stop(task)));
    return {
      measure: `CPU watching ${watched} running tasks`,
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

async function measureContainers(system: DevInfo, instance: Instance, size: Size): Promise<Target[]> {
  const containers = new Containers(system, instance, SIZES[size]);
  await containers.makeRoom();
  // the first fills caches, and makes the network that both sides use
  await containers.stop(await containers.start());
  const [start, stop] = await containers.oneByOne();
  return [start!, await containers.atOnce(), stop!, await containers.watch()];
}

async function measureHistory(
  { databaseUrl, services, tokens }: DevInfo,
  instance: Instance,
  size: Size,
): Promise<Target[]> {
  const { history, pages } = SIZES[size];
  const database = new Client({ connectionString: databaseUrl });
  await database.connect();
  try {
    const began = performance.now();
    await loadHistory(database, history);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    say(`\nnote      ${history} tasks were written by SQL, in ${seconds} s\n\npages of 100 of them, p95`);
    const url = `${services['task-runner']!.url}/api/tasks?limit=100`;
    const lists: { name: string; service: number; bare: number }[] = [];
    for (const { name, who, path, query } of LISTS) {
      const took = sides();
      for (let page = -10; page < pages; page += 1) {
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
      lists.push({ name, service, bare });
      say(
        `  ${name.padEnd(20)} service ${service.toFixed(2)} ms, sql ${bare.toFixed(2)} ms: ${(service / bare).toFixed(2)}`,
      );
    }
    const worst = lists.reduce((a, b) => (b.service / b.bare > a.service / a.bare ? b : a));
    const memory = residentMb(pidOf(instance, 'task-runner'));
    return [
      {
        measure: `list page of 100 in ${history}, p95 / bare SQL, the worst`,
        measured: worst.service / worst.bare,
        must: 2,
        aim: 1.3,
        beside: { what: `SQL, ${worst.name}`, own: worst.service, bare: worst.bare, unit: 'ms' },
        limit: 'Two hops, as for a list of allocations: the section above has the figures of each.',
      },
      { measure: `memory with ${history} tasks in history`, measured: memory, must: 200, aim: 120, unit: 'MB' },
    ];
  } finally {
    await database.end();
  }
}

runBench(async (size) => {
  const stopDocker = await provideDocker();
  try {
    const docker = await findDocker();
    if (!docker) throw new Error('no Docker Engine answers');
    ranOn('Docker', (await docker.version()).Version);
    return await withSystem({ LOG_LEVEL: 'warn' }, async (system, instance) => {
      try {
        return [
          ...(await measureContainers(system, instance, size)),
          ...(await measureHistory(system, instance, size)),
        ];
      } finally {
        await removeContainers(docker, instance);
      }
    });
  } finally {
    await stopDocker();
  }
});
