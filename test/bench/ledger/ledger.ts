import type { Client } from 'pg';
import { USAGE_ENDED } from '../../../shared/contracts/events';
import { connectSidecar, type Sidecar } from '../../../shared/dapr/sidecar';
import type { DevInfo } from '../../../tools/dev-info';
import type { Instance } from '../../../tools/instance';
import { runningPid } from '../../../tools/processes';
import { until } from '../../../tools/progress';
import { cpuBetween, cpuOf, peakMb } from '../cpu';
import type { Chain } from './chain';
import { releasedTimes } from './events';

/** Events of a message: as many as a relay puts into one. */
const BUNDLE = 500;
const LATEST_MS = 60_000;

/** What came of events that were published. */
export interface Flow {
  events: number;
  /** From the first publishing until all are in closed batches. */
  seconds: number;
  publishSeconds: number;
  /** Microseconds of CPU by process. */
  cpu: Record<string, number>;
}

export const nothing = (): Flow => ({ events: 0, seconds: 0, publishSeconds: 0, cpu: {} });

export function add(flow: Flow, more: Flow): void {
  flow.events += more.events;
  flow.seconds += more.seconds;
  flow.publishSeconds += more.publishSeconds;
  for (const [name, spent] of Object.entries(more.cpu)) flow.cpu[name] = (flow.cpu[name] ?? 0) + spent;
}

/** A running ledger: publishes to it through the sidecar of allocation, as its relay does, and looks at its tables. */
export class Ledger {
  private readonly sidecar: Sidecar;
  readonly pids: Record<string, number>;
  published = 0;

  constructor(
    readonly system: DevInfo,
    private readonly database: Client,
    instance: Instance,
    chain: Chain,
  ) {
    const port = Number(new URL(system.services['allocation']!.daprHttpUrl).port);
    this.sidecar = connectSidecar({ port, apiToken: system.daprApiToken });
    const pidOf = (name: string): number => {
      const pid = runningPid(instance, name);
      if (pid === undefined) throw new Error(`${name} does not run`);
      return pid;
    };
    this.pids = {
      "the publisher's sidecar": pidOf('daprd-allocation'),
      NATS: pidOf('nats'),
      "the forwarder's sidecar": pidOf('daprd-blockchain-forwarder'),
      forwarder: pidOf('blockchain-forwarder'),
      PostgreSQL: pidOf('postgres'),
      chain: chain.pid,
    };
  }

  async publish(events: number): Promise<void> {
    await this.sidecar.publishBundle(USAGE_ENDED, releasedTimes(events));
    this.published += events;
  }

  /** @param ahead as many may be published and not in a batch yet: a broker holds a week, the bench's need not */
  async flow(events: number, ahead = Number.POSITIVE_INFINITY): Promise<Flow> {
    const [cpu, own, began] = [cpuOf(this.pids), process.cpuUsage(), performance.now()];
    let publishMs = 0;
    for (let sent = 0; sent < events; sent += BUNDLE) {
      if (this.published >= ahead) await this.untilBatched(this.published - ahead);
      const started = performance.now();
      await this.publish(Math.min(BUNDLE, events - sent));
      publishMs += performance.now() - started;
    }
    await this.untilBatched(this.published);
    const { user, system } = process.cpuUsage(own);
    return {
      events,
      seconds: (performance.now() - began) / 1000,
      publishSeconds: publishMs / 1000,
      cpu: { publisher: user + system, ...cpuBetween(cpu, cpuOf(this.pids)) },
    };
  }

  /** Records in closed batches. */
  async batched(): Promise<number> {
    const sql = `SELECT (state_json(value) ->> 'nextSequence')::int - 1 AS count FROM state WHERE key = 'blockchain-forwarder||ledger-head'`;
    return (await this.database.query<{ count: number }>(sql)).rows[0]?.count ?? 0;
  }

  private async untilBatched(count: number): Promise<void> {
    let [last, since] = [-1, performance.now()];
    const done = async (): Promise<boolean> => {
      const now = await this.batched();
      if (now > last) [last, since] = [now, performance.now()];
      else if (performance.now() > since + LATEST_MS) throw new Error(`stuck at ${now} of ${this.published} records`);
      return now >= count;
    };
    await until(done, 3_600_000, 25);
  }

  /** Batches that the chain has, each with its number of records and its transaction. */
  async mined(): Promise<{ batchId: number; count: number }[]> {
    const sql = `SELECT (state_json(delivery.value) ->> 'batchId')::int AS "batchId", (state_json(batch.value) ->> 'count')::int AS count
      FROM state AS delivery JOIN state AS batch ON batch.key = 'blockchain-forwarder||batch:' || (state_json(delivery.value) ->> 'batchId')
      WHERE delivery.key LIKE 'blockchain-forwarder||delivery:evm:%' AND state_json(delivery.value) ->> 'stage' IN ('mined', 'finalized')`;
    return (await this.database.query<{ batchId: number; count: number }>(sql)).rows;
  }

  async untilMined(records: number): Promise<void> {
    const sum = async (): Promise<number> => (await this.mined()).reduce((all, { count }) => all + count, 0);
    if (!(await until(async () => (await sum()) >= records, LATEST_MS, 500))) throw new Error('batches are not mined');
  }

  async idsOf(batchId: number): Promise<string[]> {
    const { rows } = await this.database.query<{ entries: [string, string][] }>(
      'SELECT state_json(value) AS entries FROM state WHERE key = $1',
      [`blockchain-forwarder||leaves:${batchId}`],
    );
    return (rows[0]?.entries ?? []).map(([id]) => id);
  }

  /** @throws Error when there is another number of records than of events, in the tables or in the batches */
  async audit(): Promise<void> {
    const counting = `SELECT count(*) FILTER (WHERE key LIKE 'blockchain-forwarder||usage:%')::int AS records,
      count(*) FILTER (WHERE key LIKE 'blockchain-forwarder||unbatched:%')::int AS waiting,
      count(*) FILTER (WHERE key LIKE 'blockchain-forwarder||dead:%')::int AS dead FROM state`;
    const [found] = (await this.database.query<Record<'records' | 'waiting' | 'dead', number>>(counting)).rows;
    const batched = await this.batched();
    const { records = 0, waiting = 0, dead = 0 } = found ?? {};
    if (records !== this.published || batched !== this.published || waiting + dead > 0) {
      const what = `${records} records, ${batched} in batches, ${waiting} chunks that wait, ${dead} dead letters`;
      throw new Error(`the books do not balance: ${this.published} events, ${what}`);
    }
  }

  peakMb = (): number => peakMb(this.pids['forwarder']!);
  close = (): Promise<void> => this.sidecar.close();
}
