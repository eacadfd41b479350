import { messageOf } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
import type { ContainerRuntime } from '../ports/container-runtime';
import type { EndTask } from './end-task';

export interface WatchParts {
  runtime: Pick<ContainerRuntime, 'watch'>;
  endTask: EndTask;
  reconcile: () => Promise<boolean>;
  logger: Logger;
  /** Milliseconds between two looks at everything; and after a look that did not go through. */
  everyMs?: number;
  retryMs?: number;
}

export interface Watch {
  stop(): Promise<void>;
}

/**
 * Keeps tasks and containers in agreement for as long as the service runs: each end of a container as it happens, and a
 * look at everything at the start, when the runtime comes back, and from time to time.
 */
export function watchContainers(parts: WatchParts): Watch {
  const { runtime, endTask, reconcile, logger, everyMs = 30_000, retryMs = 2_000 } = parts;
  const stopped = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let lookAgain = false;

  async function look(): Promise<void> {
    const allDone = await reconcile().catch((error: unknown) => {
      logger.warn('tasks could not be compared with containers; it is tried again', {
        activity: 'task.reconcile',
        result: 'waiting',
        error: messageOf(error),
      });
      return false;
    });
    if (stopped.signal.aborted) return;
    clearTimeout(timer);
    timer = setTimeout(lookSoon, allDone ? everyMs : retryMs);
  }

  function lookSoon(): void {
    lookAgain = true;
    looking ??= (async () => {
      while (lookAgain && !stopped.signal.aborted) {
        lookAgain = false;
        await look();
      }
    })().finally(() => {
      looking = undefined;
    });
  }

  async function watch(): Promise<void> {
    let known: boolean | undefined;
    while (!stopped.signal.aborted) {
      try {
        await runtime.watch(
          {
            onReady: () => {
              if (known === false)
                logger.info('the container runtime is back', { activity: 'task.watch', result: 'ok' });
              known = true;
              lookSoon();
            },
            onExit: (exit) => {
              endTask.ofDeadContainer(exit.taskId, exit).catch((error: unknown) => {
                logger.warn(`the end of task ${exit.taskId} could not be written down; it is tried again`, {
                  activity: 'task.watch',
                  resource: `task ${exit.taskId}`,
                  error: messageOf(error),
                });
                clearTimeout(timer);
                timer = setTimeout(lookSoon, retryMs);
              });
            },
          },
          stopped.signal,
        );
      } catch (error) {
        if (known !== false) {
          logger.warn('the container runtime is away; running tasks are kept', {
            activity: 'task.watch',
            result: 'runtime.unavailable',
            error: messageOf(error),
          });
        }
        known = false;
        await new Promise((resolve) => setTimeout(resolve, Math.min(retryMs, 1_000)));
      }
    }
  }

  lookSoon();
  const watching = watch();
  return {
    stop: async () => {
      stopped.abort();
      clearTimeout(timer);
      // a look that is under way is not waited for: every step of it may be cut off and is carried on at the next start
      await watching;
    },
  };
}
