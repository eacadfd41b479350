// How fast grants and releases are, beside the same done row by row in SQL on the same database, with the targets of issue 4.
import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { Client } from 'pg';
import { readBooks } from '../../../tools/books';
import type { DevInfo } from '../../../tools/dev-info';
import type { Instance } from '../../../tools/instance';
import { runningPid } from '../../../tools/processes';
import { until } from '../../../tools/progress';
import { cpuBetween, cpuOf, residentMb } from '../cpu';
import { send } from '../http';
import { percentile } from '../measure';
import { runBench, say } from '../run';
import type { Size } from '../suite';
import type { Target } from '../target';
import { withSystem } from '../system';
import type { Done, Side, Work } from './load';
import { ALONE, hotPool, LIST, manyPools, slowest } from './limits';
import { loadHeld } from './held';
import { createTables } from './sql';
import { add, cpuText, nothing, perSecond, rateLine, ratio, type Tallies } from './tally';

const CLIENTS = [1, 8, 32];
const SPREADS = [1, 64];
/** Allocations over HTTP before memory is looked at: so many, or as many as the seconds allow. */
const MANY = 1_000_000;
const SIZES = {
  quick: { rounds: 1, roundSeconds: 0.5, warmUpSeconds: 1, held: 20_000, pages: 30, manySeconds: 3 },
  usual: { rounds: 3, roundSeconds: 2, warmUpSeconds: 8, held: 1_000_000, pages: 300, manySeconds: 60 },
  full: { rounds: 3, roundSeconds: 2, warmUpSeconds: 8, held: 1_000_000, pages: 300, manySeconds: 3_600 },
} satisfies Record<Size, object>;
/** Larger than what is ever held. */
const TOTAL = 2_000_000;

class Bench {
  private readonly load: ChildProcess;
  private readonly pids: Record<string, number>;
  /** Pairs that the service has done. */
  pairs = 0;
  readonly unexpected: Record<string, number> = {};

  constructor(
    private readonly system: DevInfo,
    private readonly database: Client,
    instance: Instance,
    readonly size: (typeof SIZES)[Size],
  ) {
    const { services, tokens, databaseUrl } = system;
    const load = path.join(__dirname, 'load.js');
    this.load = fork(load, [services['allocation']!.url, tokens.service, databaseUrl]);
    const pidOf = (name: string): number => {
      const pid = runningPid(instance, name);
      if (pid === undefined) throw new Error(`${name} does not run`);
      return pid;
    };
    this.pids = {
      clients: this.load.pid!,
      service: pidOf('allocation'),
      sidecar: pidOf('daprd-allocation'),
      PostgreSQL: pidOf('postgres'),
      NATS: pidOf('nats'),
    };
  }

  async createPool(): Promise<string> {
    const body = { name: `bench-${randomUUID()}`, resource_type: 'GPU', total_capacity: TOTAL, location: 'bench' };
    const { services, tokens } = this.system;
    const { id } = await send('POST', `${services['resource-pool']!.url}/resource_pools`, tokens.admin, 201, body);
    return String(id);
  }

  /** Has the clients do it, and counts what it costs, until the last event is relayed. */
  async run(work: Work) {
    const before = cpuOf(this.pids);
    const began = performance.now();
    const done = await new Promise<Done>((resolve, reject) => {
      this.load.once('message', (message: { done?: Done; error?: string }) =>
        message.done ? resolve(message.done) : reject(new Error(message.error)),
      );
      this.load.send(work);
    });
    if (work.side === 'service' && !(await until(async () => (await this.waiting()) === 0, 30_000, 20))) {
      throw new Error('events are not relayed');
    }
    const cpu = cpuBetween(before, cpuOf(this.pids));
    if (work.side === 'service' && work.kind === 'pairs') this.pairs += done.count;
    for (const [answer, times] of Object.entries(done.unexpected)) {
      this.unexpected[answer] = (this.unexpected[answer] ?? 0) + times;
    }
    return { ...done, cpu, cpuSeconds: (performance.now() - began) / 1000 };
  }

  /** Rounds in turns; each side goes first as often as the other. */
  async cell(title: string, sides: Record<string, Work>, rounds = this.size.rounds) {
    say(`\n${title}`);
    const tallies = Object.fromEntries(Object.keys(sides).map((name) => [name, nothing()]));
    for (const work of Object.values(sides)) await this.run(work.kind === 'pairs' ? { ...work, seconds: 0.5 } : work);
    for (let round = 0; round < rounds; round += 1) {
      const turns = round % 2 === 0 ? Object.entries(sides) : Object.entries(sides).reverse();
      const lines: Record<string, string> = {};
      for (const [name, work] of turns) {
        const done = await this.run(work);
        add(tallies[name]!, done);
        lines[name] = `${name} ${perSecond(done).toFixed(0)}/s p99 ${percentile(done, 0.99).toFixed(1)} ms`;
      }
      say(
        `  round ${round + 1}   ${Object.keys(sides)
          .map((name) => lines[name])
          .join('   ')}`,
      );
    }
    return tallies;
  }

  async compare(pools: string[], clients: number): Promise<Tallies> {
    const work = (side: Side): Work => ({ kind: 'pairs', side, clients, pools, seconds: this.size.roundSeconds });
    const title = `${pools.length === 1 ? 'one hot pool' : `${pools.length} pools`}, ${clients} clients`;
    const tallies = (await this.cell(title, { sql: work('sql'), service: work('service') })) as Tallies;
    for (const side of ['sql', 'service'] as const) {
      say(`  ${rateLine(side, tallies[side])}`);
      say(`${' '.repeat(14)}CPU a pair (cores): ${cpuText(tallies[side])}`);
    }
    say(`  service / sql = ${ratio(tallies).toFixed(2)}`);
    return tallies;
  }

  async waiting(): Promise<number> {
    const sql = `SELECT count(*)::int AS waiting FROM state WHERE key LIKE 'allocation||outbox:%'`;
    return (await this.database.query<{ waiting: number }>(sql)).rows[0]!.waiting;
  }

  serviceMb = (): number => residentMb(this.pids['service']!);
  close = (): void => void this.load.kill();
}

async function demandDurable(database: Client): Promise<void> {
  for (const setting of ['fsync', 'synchronous_commit']) {
    const { rows } = await database.query<Record<string, string>>(`SHOW ${setting}`);
    say(`database  ${setting} = ${rows[0]![setting]}`);
    if (rows[0]![setting] !== 'on') throw new Error(`${setting} is off: figures would mean nothing`);
  }
}

/** Grants and releases beside so many others, in turns with the same in a pool without any; then pages of those. */
async function amongHeld(bench: Bench, database: Client): Promise<Target[]> {
  const [full, empty] = [await bench.createPool(), await bench.createPool()];
  const began = performance.now();
  const { held, pages, rounds, roundSeconds } = bench.size;
  await loadHeld(database, full, held);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  say(`\nnote      ${held} live allocations were written into one pool by SQL, in ${seconds} s, without events`);
  const hot = { kind: 'pairs', side: 'service', clients: 32, seconds: roundSeconds } as const;
  const pairs = await bench.cell(
    `the service, 32 clients, in the pool with ${held} and in an empty one`,
    { full: { ...hot, pools: [full] }, empty: { ...hot, pools: [empty] } },
    2 * rounds,
  );
  const page = { kind: 'lists', clients: 1, pools: [full], count: pages } as const;
  const lists = await bench.cell(`pages of 100 of the ${held}`, {
    sql: { ...page, side: 'sql' },
    service: { ...page, side: 'service' },
  });
  const late = (name: string): number => percentile(lists[name]!, 0.95);
  say(`  p95: sql ${late('sql').toFixed(2)} ms, service ${late('service').toFixed(2)} ms`);
  return [
    {
      measure: `time of a pair with ${held} live allocations / with none`,
      measured: perSecond(pairs['empty']!) / perSecond(pairs['full']!),
      must: 1.2,
      aim: 1.05,
      beside: {
        ...{ what: 'with none', unit: 'ms a pair', own: 1000 / perSecond(pairs['full']!) },
        bare: 1000 / perSecond(pairs['empty']!),
      },
    },
    {
      measure: `list page of 100 in ${held}, p95 / bare SQL`,
      measured: late('service') / late('sql'),
      must: 2,
      aim: 1.3,
      beside: { what: 'SQL', own: late('service'), bare: late('sql'), unit: 'ms' },
      limit: LIST,
    },
  ];
}

async function makeMany(bench: Bench, pool: string): Promise<void> {
  const until = performance.now() + bench.size.manySeconds * 1000;
  while (bench.pairs < MANY && performance.now() < until) {
    await bench.run({
      kind: 'pairs',
      side: 'service',
      clients: 32,
      pools: [pool],
      seconds: Math.min(5, bench.size.manySeconds),
    });
  }
}

/** A service that runs since this morning is what people use: code is compiled, and the new database is on the disk. */
async function warmUp(bench: Bench, database: Client, pools: string[]): Promise<void> {
  const seconds = bench.size.warmUpSeconds;
  for (const side of ['sql', 'service'] as const) {
    await bench.run({ kind: 'pairs', side, clients: 8, pools, seconds });
  }
  await database.query('CHECKPOINT');
  say(`note      ${seconds} s of each side, 8 clients, and a checkpoint come before the first figure`);
}

async function audit(database: Client): Promise<Target> {
  const { differences, allocations, pools } = await readBooks(database, 60);
  for (const difference of differences.slice(0, 10)) say(difference);
  say(`audit     ${differences.length} differences in ${pools} pools with ${allocations} allocations`);
  return { measure: 'differences in the books', measured: differences.length, must: 0, aim: 0 };
}

function compared(tallies: Tallies): Pick<Target, 'measured' | 'more' | 'beside'> {
  const { service, sql } = tallies;
  const beside = { what: 'SQL', own: perSecond(service), bare: perSecond(sql), unit: 'pairs/s' };
  return { measured: ratio(tallies), more: true, beside };
}

async function measure(system: DevInfo, instance: Instance, size: Size): Promise<Target[]> {
  const database = new Client({ connectionString: system.databaseUrl });
  await database.connect();
  await demandDurable(database);
  const bench = new Bench(system, database, instance, SIZES[size]);
  try {
    const pools = await Promise.all(Array.from({ length: Math.max(...SPREADS) }, () => bench.createPool()));
    await createTables(system.databaseUrl, pools);
    const cells = new Map<string, Tallies>();
    await warmUp(bench, database, pools);
    for (const spread of SPREADS) {
      for (const clients of CLIENTS) {
        cells.set(`${spread} ${clients}`, await bench.compare(pools.slice(0, spread), clients));
      }
    }
    const [hot, wide, single] = ['1 32', '64 32', '1 1'].map((cell) => cells.get(cell)!) as [Tallies, Tallies, Tallies];
    const amongOthers = await amongHeld(bench, database);
    await makeMany(bench, pools[0]!);
    const late = (side: Side): number => Math.max(percentile(hot[side], 0.99), percentile(wide[side], 0.99));
    const unexpected = Object.values(bench.unexpected).reduce((sum, times) => sum + times, 0);
    for (const [answer, times] of Object.entries(bench.unexpected)) say(`answer    ${answer}: ${times} times`);
    return [
      { measure: 'hot pool, 32 clients, service / SQL', ...compared(hot), must: 1.5, aim: 3, limit: hotPool(hot) },
      {
        measure: '64 pools, 32 clients, service / SQL',
        ...compared(wide),
        must: 0.4,
        aim: 0.8,
        limit: manyPools(wide),
      },
      {
        ...{ measure: 'p99 of a grant, 32 clients', measured: late('service'), must: 50, aim: 25, unit: 'ms' },
        beside: { what: 'SQL', own: late('service'), bare: late('sql'), unit: 'ms' },
        limit: slowest(perSecond(hot.service) < perSecond(wide.service) ? hot : wide, 32),
      },
      {
        ...{ measure: 'p50 of a grant, one client', measured: percentile(single.service, 0.5), unit: 'ms' },
        ...{ must: 5, aim: 3 },
        beside: { what: 'SQL', own: percentile(single.service, 0.5), bare: percentile(single.sql, 0.5), unit: 'ms' },
        limit: ALONE,
      },
      { measure: 'answers but 201, 204 and 409 for lack of capacity', measured: unexpected, must: 0, aim: 0 },
      ...amongOthers,
      {
        measure: `memory after ${bench.pairs} allocations`,
        measured: bench.serviceMb(),
        must: 250,
        aim: 150,
        unit: 'MB',
      },
      await audit(database),
    ];
  } finally {
    bench.close();
    await database.end();
  }
}

runBench((size) =>
  withSystem({ RM_APPS: 'resource-pool,allocation' }, (system, instance) => measure(system, instance, size)),
);
