// How fast ends of uses become records in closed batches, beside the bare work on the same database, and what receipts cost, with
// the targets of issue 6.
import { Client } from 'pg';
import { percentile, type Measurement } from '../measure';
import { runBench, say } from '../run';
import type { Size } from '../suite';
import type { Target } from '../target';
import { withSystem } from '../system';
import { BareWork } from './bare';
import { startChain, type Chain } from './chain';
import { add, Ledger, nothing, type Flow } from './ledger';
import { receiptsOf, toMined } from './mined';
import { slowestTree, verifications } from './offline';

const APPS = 'allocation,blockchain-forwarder';
/** Events of a warm-up, of a round, and those that flow while memory is looked at. */
const SIZES = {
  quick: { warmUp: 1_000, rounds: 1, round: 2_000, flow: 5_000, rateSeconds: 5 },
  usual: { warmUp: 20_000, rounds: 3, round: 30_000, flow: 100_000, rateSeconds: 40 },
  full: { warmUp: 20_000, rounds: 3, round: 30_000, flow: 1_000_000, rateSeconds: 40 },
} satisfies Record<Size, object>;
type Sizes = (typeof SIZES)[Size];
/** Published and not in a batch yet, at most, while memory is measured. */
const AHEAD = 50_000;
const BATCH = 1_000;
const SAMPLES = 20;
const RATE = 500;
/** Batches that only their age closes. */
const BY_AGE = { LEDGER_BATCH_COUNT: '10000', LEDGER_BATCH_BYTES: '10000000', LEDGER_BATCH_AGE_MS: '5000' };

const perSecond = ({ events, seconds }: Pick<Flow, 'events' | 'seconds'>): string =>
  `${(events / seconds).toFixed(0)}/s`;

/** CPU of each process for an event, and how many cores it kept busy. */
function cpuLine({ cpu, events, seconds }: Flow): string {
  const total = Object.values(cpu).reduce((sum, spent) => sum + spent, 0);
  return [...Object.entries(cpu), ['together', total] as const]
    .map(([name, spent]) => `${name} ${(spent / events).toFixed(0)} µs (${(spent / 1e6 / seconds).toFixed(2)})`)
    .join(', ');
}

/** Rounds in turns; each side goes first as often as the other. */
async function beside(
  ledger: Ledger,
  bare: BareWork,
  { rounds, round: events }: Sizes,
): Promise<{ flow: Flow; bareSeconds: number }> {
  const flow = nothing();
  let bareSeconds = 0;
  for (let round = 0; round < rounds; round += 1) {
    const parts = [
      async () => {
        const done = await ledger.flow(events);
        add(flow, done);
        return `ledger ${perSecond(done)}, publishing alone ${perSecond({ events, seconds: done.publishSeconds })}`;
      },
      async () => {
        const seconds = await bare.run(events);
        bareSeconds += seconds;
        return `bare work ${perSecond({ events, seconds })}`;
      },
    ];
    const lines: string[] = [];
    for (const part of round % 2 === 0 ? parts : parts.reverse()) lines.push(await part());
    say(`  round ${round + 1}   ${lines.join('   ')}`);
  }
  return { flow, bareSeconds };
}

async function ingest(ledger: Ledger, databaseUrl: string, sizes: Sizes): Promise<Target> {
  const bare = await BareWork.open(databaseUrl);
  try {
    await ledger.flow(sizes.warmUp);
    await bare.run(sizes.warmUp);
    say(`\nevents to records in closed batches, ${sizes.round} a round (${sizes.warmUp} of each side come first)`);
    const { flow, bareSeconds } = await beside(ledger, bare, sizes);
    say(`  ledger      ${perSecond(flow)}   CPU an event (cores): ${cpuLine(flow)}`);
    say(
      `  bare work   ${perSecond({ events: flow.events, seconds: bareSeconds })}   canonical JSON, SHA-256, 500 rows a statement, one client`,
    );
    say(`  ledger / bare work = ${(bareSeconds / flow.seconds).toFixed(2)}`);
    const measured = flow.events / flow.seconds;
    return {
      ...{ measure: 'events/s, published to stored and batched', measured, must: 3_000, aim: 8_000, more: true },
      beside: { what: 'the bare work', own: measured, bare: flow.events / bareSeconds, unit: 'events/s' },
      limit: `CPU: an event costs ${cpuLine(flow)} (in brackets: cores busy). PostgreSQL parses the JSON of a record five times for its indexes, and Dapr writes it as a row of its own by a round trip of its own (decision 0005 has the profile).`,
    };
  } finally {
    await bare.close();
  }
}

const ms = (measurement: Pick<Measurement, 'latencies'>, fraction: number): string =>
  percentile(measurement, fraction).toFixed(2);

async function proofs(ledger: Ledger, chain: Chain): Promise<Target[]> {
  await ledger.untilMined(ledger.published);
  const { receipts, keys } = await receiptsOf(ledger, chain, BATCH, SAMPLES);
  const sizes = receipts.map(({ text }) => Buffer.byteLength(text));
  const gas = receipts.map((receipt) => receipt.gas);
  const seconds = slowestTree(5);
  const text = receipts[0]!.text;
  await verifications(text, keys, 200);
  const verified = await verifications(text, keys, 2_000);
  say(`\nreceipts of ${receipts.length} batches of ${BATCH}`);
  say(
    `  size ${Math.min(...sizes)} to ${Math.max(...sizes)} bytes, gas of a batch ${Math.min(...gas)} to ${Math.max(...gas)}`,
  );
  say(
    `  offline verification p50 ${ms(verified, 0.5)} ms, p95 ${ms(verified, 0.95)} ms, p99 ${ms(verified, 0.99)} ms, after 200`,
  );
  return [
    { measure: `gas an event at ${BATCH} a batch`, measured: Math.max(...gas) / BATCH, must: 50, aim: 48 },
    { measure: 'tree of 100,000 leaves, slowest of 5', measured: seconds, must: 0.5, aim: 0.2, unit: 's' },
    { measure: 'receipt, largest', measured: Math.max(...sizes), must: 2_000, aim: 1_500, unit: 'B' },
    { measure: 'offline verification, p95', measured: percentile(verified, 0.95), must: 5, aim: 1, unit: 'ms' },
  ];
}

async function memory(ledger: Ledger, events: number): Promise<Target> {
  const before = ledger.peakMb();
  const flow = await ledger.flow(events, AHEAD);
  say(`\n${events} events flow, at most ${AHEAD} of them on their way`);
  say(`  ledger      ${perSecond(flow)}, ${flow.seconds.toFixed(0)} s   CPU an event (cores): ${cpuLine(flow)}`);
  say(`  forwarder   at most ${before.toFixed(0)} MB before, ${ledger.peakMb().toFixed(0)} MB at the end`);
  const measure = `memory of the forwarder, most ever, ${ledger.published} events`;
  return { measure, measured: ledger.peakMb(), must: 300, aim: 200, unit: 'MB' };
}

async function latency(ledger: Ledger, { rateSeconds }: Sizes): Promise<Target> {
  await toMined(ledger, RATE, 5);
  const latencies = await toMined(ledger, RATE, rateSeconds);
  say(`\n${RATE} events/s for ${rateSeconds} s, batches closed after 5 s, a block a second`);
  const shown = [0.5, 0.95, 1].map((fraction) => (percentile({ latencies }, fraction) / 1000).toFixed(1));
  say(`  event to mined p50 ${shown[0]} s, p95 ${shown[1]} s, most ${shown[2]} s`);
  const measured = percentile({ latencies }, 0.95) / 1000;
  return { measure: `event to mined, p95, at ${RATE} events/s`, measured, must: 10, aim: 7, unit: 's' };
}

/** A system and a chain of its own for a part of the measurement; its books balance at the end. */
async function withLedger<T>(
  settings: NodeJS.ProcessEnv,
  work: (ledger: Ledger, chain: Chain) => Promise<T>,
): Promise<T> {
  const chain = await startChain();
  try {
    return await withSystem({ RM_APPS: APPS, ...chain.env, ...settings }, async (system, instance) => {
      const database = new Client({ connectionString: system.databaseUrl });
      await database.connect();
      const ledger = new Ledger(system, database, instance, chain);
      try {
        const result = await work(ledger, chain);
        await ledger.audit();
        return result;
      } finally {
        await ledger.close();
        await database.end();
      }
    });
  } finally {
    await chain.stop();
  }
}

runBench(async (size) => [
  ...(await withLedger({}, async (ledger, chain) => [
    await ingest(ledger, ledger.system.databaseUrl, SIZES[size]),
    ...(await proofs(ledger, chain)),
    await memory(ledger, SIZES[size].flow),
  ])),
  await withLedger(BY_AGE, (ledger) => latency(ledger, SIZES[size])),
]);
