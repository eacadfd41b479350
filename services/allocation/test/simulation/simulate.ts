import { endsUse } from '../../../../shared/contracts/events';
import { isolated } from '../../../../shared/testing/simulation/isolation';
import { drawWeather, Network } from '../../../../shared/testing/simulation/network';
import { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import { type Fault, type Run, storm } from '../../../../shared/testing/simulation/storm';
import { UNCLAIMED_SECONDS } from '../../domain/queue';
import { administer } from './administrator';
import { BY_WEIGHT } from './actions';
import { Client } from './client';
import { Cluster } from './cluster';
import { Broker, Database } from './database';
import { broken } from './invariants';
import { Chronicle } from './chronicle';
import type { Plant } from './replica';
import type { World } from './world';

/**
 * Milliseconds after the storm in which all that was begun must have come to its end: a lost answer is given up after 3 s,
 * what is asked for again may wait for 2 s and begin a lease of 2 s, and what is over is ended within 2 s.
 */
const SETTLING = 10_000;

/** One run, in which clients ask for all kinds of things. */
export function simulate(seed: number, plant: Plant = {}): Promise<Run> {
  return isolated(() => run(seed, plant));
}

async function run(seed: number, plant: Plant): Promise<Run> {
  const scheduler = new Scheduler(seed);
  const network = new Network(scheduler, drawWeather(scheduler));
  const poolIds = Array.from({ length: scheduler.whole(1, 3) }, scheduler.uuid);
  const serviceIds = [scheduler.uuid(), scheduler.uuid()];
  const database = new Database(scheduler, poolIds);
  const broker = new Broker(scheduler, database);
  broker.refusal = scheduler.chance(0.5) ? 0.2 : 0;
  const chronicle = new Chronicle(scheduler);
  const store = plant.stored?.(database) ?? database;
  const sidecar = plant.broker?.(broker) ?? broker;
  const cluster = new Cluster({ scheduler, network, chronicle, store, broker: sidecar, plant });
  const world: World = {
    ...{ scheduler, cluster, chronicle, poolIds, serviceIds },
    ...{ held: [], heldByTasks: [], groups: [], waiting: [], quiet: false },
  };
  let busy = 0;
  const begin = (story: Promise<void>) => {
    busy += 1;
    void story.then(() => (busy -= 1));
  };
  for (const poolId of poolIds) begin(administer(world, poolId, scheduler.whole(0, 5)));
  const clients = scheduler.whole(2, 6);
  for (let index = 1; index <= clients; index += 1)
    begin(new Client(`client ${index}`, world).run(scheduler.whole(3, 15), BY_WEIGHT));

  return storm(
    { scheduler, network, tally: chronicle.tally },
    { storm: [2_000, 6_000], settling: SETTLING },
    { fault, crash: () => cluster.crashOne(), calm, unsettled },
  );

  async function fault(): Promise<Fault | undefined> {
    const [wrong] = cluster.faults;
    if (wrong !== undefined) return { invariant: 'an answer says what is so', detail: wrong };
    return database.changed ? broken(chronicle.observe(await database.content())) : undefined;
  }

  function calm(): void {
    world.quiet = true;
    broker.refusal = 0;
    cluster.startAll();
  }

  function unsettled(): string | undefined {
    if (cluster.open.size > 0) return `no answer: ${[...cluster.open].map(({ wish }) => wish.what).join(', ')}`;
    if (busy > 0) return `${busy} clients still wait`;
    if (network.underWay > 0) return `${network.underWay} requests are on their way`;
    if (database.outbox.size > 0) return `${database.outbox.size} rows are in the outbox`;
    const { live, requests, events } = chronicle.content;
    const waits = [...requests.values()].find(({ status }) => status === 'waiting');
    if (waits) return `${waits.id} waits until ${waits.expiresAt}`;
    // but for those that a request which waited is granted when it asks for none
    const leased = [...live.values()].find(({ lease }) => lease && lease.seconds < UNCLAIMED_SECONDS);
    if (leased) return `${leased.id} is held, whose lease ends ${leased.lease?.expiresAt}`;
    const told = new Set(events.map(({ id }) => id));
    const [untold] = [...told].filter((id) => !broker.published.has(id));
    const [invented] = [...broker.published, ...broker.bundled].filter((id) => !told.has(id));
    if (untold || invented) return `events not published: ${untold}, published and not stored: ${invented}`;
    const unbundled = events.find(({ id, type }) => endsUse(type) && !broker.bundled.has(id));
    return unbundled && `the end of a use in no bundle: ${unbundled.id}`;
  }
}
