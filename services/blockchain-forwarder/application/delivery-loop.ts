import { messageOf } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
import { deliverUsage, type BatchResult, type DeliveryParts } from './deliver-usage';

export interface DeliveryLoop {
  /** Says that there is something new to deliver. */
  wake(): void;
  /** Resolves when the batch under way is written down. */
  stop(): Promise<void>;
}

/**
 * One for each sink, so that one that is down or slow holds up no other. Looks for due records when woken, and every
 * `everyMs` for those whose back-off ended.
 */
export function startDeliveryLoop(
  parts: DeliveryParts & { logger: Logger; everyMs: number; observe: (result: BatchResult) => void },
): DeliveryLoop {
  const { sink, logger, backOff } = parts;
  let again = false;
  let stopped = false;
  let failing = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function drain(): Promise<void> {
    // a sink that answers again takes what waits for it at once, not only when each record's back-off ends
    let earlyMs = 0;
    for (let more = true; more && !stopped;) {
      const result = await deliverUsage(parts, earlyMs);
      parts.observe(result);
      report(result);
      const tried = result.delivered + result.retry + result.rejected;
      if (failing && result.delivered > 0) earlyMs = backOff.capMs;
      if (tried > 0) failing = result.delivered === 0;
      more = result.delivered > 0 && (earlyMs > 0 || tried === sink.batchSize);
    }
  }

  function report(result: BatchResult): void {
    const fields = { activity: 'usage.deliver', resource: sink.name, ...result };
    if (result.rejected > 0)
      logger.error('a sink refuses usage records; mend the sink, they are tried again later', fields);
    else if (result.retry > 0 && !failing) logger.warn('a sink does not take usage records; they wait for it', fields);
    else if (result.delivered > 0) logger.info('usage records delivered', { ...fields, result: 'ok' });
  }

  async function run(): Promise<void> {
    try {
      do {
        again = false;
        await drain();
      } while (again && !stopped);
    } catch (error) {
      logger.warn('deliveries wait until their state can be read and written', {
        activity: 'usage.deliver',
        resource: sink.name,
        result: 'waiting',
        error: messageOf(error),
      });
    }
  }

  function wake(): void {
    again = true;
    if (running || stopped) return;
    clearTimeout(timer);
    running = run().finally(() => {
      running = undefined;
      if (!stopped) timer = setTimeout(wake, parts.everyMs);
    });
  }

  timer = setTimeout(wake, 0);
  return {
    wake,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
