import { AsyncResource } from 'node:async_hooks';

export interface Loop {
  /** Says that there is something to do; the next turn begins soon after. */
  wake(): void;
  /** Resolves when the turn under way has ended. */
  stop(): Promise<void>;
}

/** Does something later; what it returns calls that off. */
export type Later = (work: () => void, ms: number) => () => void;

function afterTimeout(work: () => void, ms: number): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

/**
 * Takes turns of background work for as long as the process lives.
 * @param turn never rejects; @returns after how many milliseconds the next one is due if nobody wakes it
 * @param gatherMs from a wake to its turn: what comes meanwhile is done in the same turn
 */
export function startLoop(turn: () => Promise<number>, gatherMs: number, later: Later = afterTimeout): Loop {
  let callOff = (): void => undefined;
  let running: Promise<void> | undefined;
  let woken = false;
  let stopped = false;

  function begin(): void {
    woken = false;
    running = turn().then((ms) => {
      running = undefined;
      if (!stopped) runIn(woken ? Math.min(gatherMs, ms) : ms);
    });
  }

  function runIn(ms: number): void {
    callOff();
    callOff = later(begin, ms);
  }

  runIn(0);
  return {
    // bound to the loop's own context, else its log lines would carry the request id of whoever woke it
    wake: AsyncResource.bind(() => {
      if (woken || stopped) return;
      woken = true;
      if (running === undefined) runIn(gatherMs);
    }),
    stop: async () => {
      stopped = true;
      callOff();
      await running;
    },
  };
}
