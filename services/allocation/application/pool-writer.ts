import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { AppError, hasCode, unavailable } from '../../../shared/errors';
import { decide, type Decision, type Outcome, type PoolCommand } from '../domain/pool-commands';
import type { PoolStore } from '../ports/pool-store';

/** Commands that go into one transaction at most. */
const BATCH = 64;
/** Commands that may wait for one pool; beyond it callers are told to come later. */
const QUEUE = 2_000;
const ATTEMPTS = 40;

interface Waiting {
  command: PoolCommand;
  signal: AbortSignal | undefined;
  /** A release found its allocation in an attempt whose outcome stayed unknown: gone now means done. */
  decidedOnce: boolean;
  resolve: (allocationId: string | undefined) => void;
  reject: (error: unknown) => void;
}

/**
 * Changes pools. Commands that arrive for a pool while its transaction is under way go into the next one together, so a
 * hot pool costs one transaction for many callers and never a lock. Between replicas the ETag decides: the one that
 * loses reads again and decides anew; callers never see it.
 */
export class PoolWriter {
  private readonly queues = new Map<string, Waiting[]>();

  constructor(
    private readonly store: PoolStore,
    private readonly now: () => string,
    /** Called after a commit, for the relay of its events. */
    private readonly committed: () => void = () => undefined,
    private readonly pause: (ms: number) => Promise<void> = (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  ) {}

  /**
   * @param signal aborted when nobody waits for the answer any more: a command whose turn had not come by then is
   *   dropped, and its promise stays as it is
   * @returns the id of the allocation that was made or released
   * @throws AppError what the domain says against it; `allocation.busy` (429); kind `unavailable` (503), after which a
   *   change may have been made: allocating again under the same id or Idempotency-Key is safe
   */
  execute(poolId: string, command: PoolCommand, signal?: AbortSignal): Promise<string | undefined> {
    const queue = this.queues.get(poolId);
    if (queue && queue.length >= QUEUE) {
      const detail = 'Too many requests wait for this pool; try again shortly.';
      return Promise.reject(new AppError('rate_limited', 'allocation.busy', detail, { retryAfter: 1 }));
    }
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { command, signal, decidedOnce: false, resolve, reject };
      if (queue) queue.push(waiting);
      else void this.work(poolId, [waiting]);
    });
  }

  private async work(poolId: string, queue: Waiting[]): Promise<void> {
    this.queues.set(poolId, queue);
    while (queue.length > 0) {
      const batch = queue.splice(0, BATCH).filter(({ signal }) => !signal?.aborted);
      if (batch.length === 0) continue;
      try {
        const outcomes = await this.carryOut(poolId, batch);
        batch.forEach((waiting, index) => settle(waiting, outcomes[index]));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.queues.delete(poolId);
  }

  private async carryOut(poolId: string, batch: readonly Waiting[]): Promise<Outcome[]> {
    const commands = batch.map(({ command }) => command);
    let unknownOutcome: unknown;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (attempt > 0) await this.pause(Math.random() * Math.min(200, 5 * 2 ** attempt));
      const snapshot = await this.store.read(poolId, allocationIds(commands), rememberedIds(commands));
      const decision = decide(snapshot, commands, this.now());
      const outcomes = batch.map((waiting, index) => forgiveDone(waiting, decision.outcomes[index]));
      if (decision.facts.length === 0 && decision.inventory === snapshot.inventory) return outcomes;
      try {
        await this.store.commit(snapshot, decision);
        if (decision.facts.length > 0) this.committed();
        return outcomes;
      } catch (error) {
        if (error instanceof ConflictError) continue;
        // written or not? The rows will tell, once: ids make a second try of the same commands harmless
        if (unknownOutcome !== undefined) throw error;
        unknownOutcome = error;
        noteDecided(batch, decision);
      }
    }
    throw unavailable('allocation.contended', 'The pool changes too fast at the moment; try again.');
  }
}

function settle({ resolve, reject }: Waiting, outcome: Outcome | undefined): void {
  if (outcome?.ok) resolve(outcome.allocationId);
  else reject(outcome?.error);
}

function noteDecided(batch: readonly Waiting[], { outcomes }: Decision): void {
  batch.forEach((waiting, index) => {
    if (outcomes[index]?.ok) waiting.decidedOnce = true;
  });
}

/** A release whose first try was written, though nobody said so, finds nothing the second time. */
function forgiveDone({ command, decidedOnce }: Waiting, outcome: Outcome | undefined): Outcome {
  if (outcome === undefined) throw new Error(`no outcome for a command of kind ${command.kind}`);
  if (decidedOnce && command.kind === 'release' && !outcome.ok && hasCode(outcome.error, 'allocation.not_found')) {
    return { ok: true, allocationId: command.allocationId };
  }
  return outcome;
}

function allocationIds(commands: readonly PoolCommand[]): string[] {
  return commands.flatMap((command) => {
    if (command.kind === 'allocate') return [command.allocation.id];
    return command.kind === 'release' ? [command.allocationId] : [];
  });
}

function rememberedIds(commands: readonly PoolCommand[]): string[] {
  return commands.flatMap((command) =>
    command.kind === 'allocate' && command.idempotency ? [command.idempotency.id] : [],
  );
}
