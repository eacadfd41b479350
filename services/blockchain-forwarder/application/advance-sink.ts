import {
  FINAL_STAGES,
  newSinkState,
  retryDelay,
  UNDERWAY,
  type BackOff,
  type Delivery,
  type SinkState,
} from '../domain/delivery';
import type { LedgerSink, StepResult } from '../ports/ledger-sink';
import type { LedgerStore, Versioned } from '../ports/ledger-store';
import type { OpenDelivery, SinkStore } from '../ports/sink-store';
import { refusalLetters } from './keep-dead-letters';

export interface SinkParts {
  sink: LedgerSink;
  store: SinkStore;
  ledger: LedgerStore;
  backOff: BackOff;
  /** Of this process. */
  holder: string;
  /** For how long nobody else makes steps: above the longest step. */
  leaseMs: number;
  /** Between looks when there is nothing to do. */
  idleMs: number;
  now: () => Date;
  random: () => number;
}

/** What a step came to. */
export interface Step {
  /** When the next one is due, in milliseconds. */
  nextMs: number;
  /** Deliveries that came to another stage. */
  advanced: Delivery[];
  refused: number;
  /** Why the sink does not work now. */
  error: string | null;
  /** It failed before this step too. */
  failedBefore: boolean;
}

/** Open deliveries that one step is given at the most: a chain makes batches final long after they are mined. */
const MAX_OPEN = 500;

/**
 * Takes the sink one step further, if it is this process's turn. What the sink has to know afterwards is written down
 * under the version that the lease was taken with: whoever lost the lease meanwhile writes nothing.
 */
export async function advanceSink(parts: SinkParts): Promise<Step> {
  const { sink, store, ledger, now, idleMs } = parts;
  const stored = await store.state(sink.name);
  const state = stateAt(sink, stored.value);
  const wait = waitFor(state, parts);
  if (wait > 0) return nothing(wait);

  const { value: head } = await ledger.head();
  const open = state.begun === 0 ? [] : await store.open(sink.name, sink.place, MAX_OPEN);
  const begun = await beginNext(parts, state, open, head.batchId);
  if (open.length + begun.length === 0) return nothing(idleMs);

  const held = await take(parts, { value: state, version: stored.version }, begun);
  if (held === null) return nothing(0);

  const all = [...open, ...begun];
  const result = await sink.step(
    all.map(({ batch, delivery, progress }) => ({ batch, stage: delivery.stage, progress })),
    { now: now(), records: (batchId) => ledger.records(batchId) },
  );
  return settle(parts, held, all, result);
}

/** Gives the sink up, so that another process need not wait for the lease to end. */
export async function releaseSink({ sink, store, holder }: SinkParts): Promise<void> {
  const { value, version } = await store.state(sink.name);
  if (value?.lease?.holder === holder) await store.write({ ...value, lease: null }, version);
}

/**
 * At another place than before the sink begins with the first batch again; but not while a process of the version before
 * works for it, else the two would take it from each other.
 */
function stateAt({ name, place }: LedgerSink, stored: SinkState | null): SinkState {
  return stored?.place === place ? stored : { ...newSinkState(name, place), lease: stored?.lease ?? null };
}

/** In milliseconds; a look at least every `idleMs`, for a lease may be given up. */
function waitFor({ lease, nextStepAt }: SinkState, { holder, now, idleMs }: SinkParts): number {
  const held = lease !== null && lease.holder !== holder ? Date.parse(lease.until) : 0;
  const wait = Math.max(held, nextStepAt === null ? 0 : Date.parse(nextStepAt)) - now().getTime();
  return wait > 0 ? Math.min(wait, idleMs) : 0;
}

/** Writes down that this process works for the sink and begins with batches. @returns null when another was quicker */
async function take(
  { sink, store, holder, leaseMs, now }: SinkParts,
  { value: state, version }: Versioned<SinkState>,
  begun: readonly OpenDelivery[],
): Promise<Versioned<SinkState> | null> {
  const at = now().getTime();
  const isHeld = state.lease?.holder === holder && Date.parse(state.lease.until) - at > leaseMs / 2;
  if (isHeld && begun.length === 0) return { value: state, version };
  const held: SinkState = {
    ...state,
    begun: state.begun + begun.length,
    lease: { holder, until: new Date(at + leaseMs).toISOString() },
  };
  const fresh = begun.map(({ delivery }) => ({ delivery, progress: null }));
  if (!(await store.write(held, version, { deliveries: fresh }))) return null;
  const written = await store.state(sink.name);
  return written.value?.lease?.holder === holder ? { value: written.value, version: written.version } : null;
}

async function beginNext(
  { sink, ledger, now }: SinkParts,
  state: SinkState,
  open: readonly OpenDelivery[],
  latest: number,
): Promise<OpenDelivery[]> {
  const underway = open.filter(({ delivery }) => UNDERWAY.includes(delivery.stage)).length;
  const room = Math.min(sink.window - underway, MAX_OPEN - open.length, latest - state.begun);
  const ids = Array.from({ length: Math.max(0, room) }, (_, index) => state.begun + index + 1);
  const batches = await ledger.batches(ids);
  const since = now().toISOString();
  return batches.map((batch) => ({
    batch,
    progress: null,
    delivery: { sink: sink.name, place: sink.place, batchId: batch.batchId, stage: 'pending', since },
  }));
}

async function settle(
  parts: SinkParts,
  { value: state, version }: Versioned<SinkState>,
  open: readonly OpenDelivery[],
  { advances, refusals, nextMs, trouble }: StepResult<unknown>,
): Promise<Step> {
  const { sink, store, now, random, backOff } = parts;
  const at = now();
  const before = new Map(open.map(({ delivery }) => [delivery.batchId, delivery]));
  const writes = advances.flatMap(({ batchId, stage, progress }) => {
    const delivery = before.get(batchId);
    if (!delivery) return [];
    const since = stage === delivery.stage ? delivery.since : at.toISOString();
    return [{ delivery: { ...delivery, stage, since }, progress }];
  });
  const failures = trouble ? state.failures + 1 : 0;
  const pause = trouble ? Math.max(retryDelay(failures, backOff, random()), trouble.retryAfterMs ?? 0) : nextMs;
  const letters = await refusalLetters(sink.name, refusals, parts.ledger, at);
  const ended: SinkState = {
    ...state,
    failures,
    nextStepAt: trouble ? new Date(at.getTime() + pause).toISOString() : null,
    lastError: trouble?.error ?? null,
  };
  // another process has the sink now: what it does is the truth, and this step is as if it had never been
  if (!(await store.write(ended, version, { deliveries: writes, letters }))) return nothing(0);
  const advanced = writes
    .map(({ delivery }) => delivery)
    .filter(({ batchId, stage }) => before.get(batchId)?.stage !== stage);
  const isDone = advanced.some(({ stage }) => FINAL_STAGES.includes(stage));
  return {
    // its place is free for the next batch
    nextMs: isDone && !trouble ? 0 : pause,
    advanced,
    refused: refusals.length,
    error: trouble?.error ?? null,
    failedBefore: state.failures > 0,
  };
}

function nothing(nextMs: number): Step {
  return { nextMs, advanced: [], refused: 0, error: null, failedBefore: false };
}
