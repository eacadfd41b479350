import { AsyncResource } from 'node:async_hooks';
import { messageOf } from '../../../shared/errors';
import { withContext } from '../../../shared/logging/context';
import type { Logger } from '../../../shared/logging/logger';
import { deliverUsage, type BatchResult, type DeliveryParts } from './deliver-usage';

export interface DeliveryLoop {
  /** Says that there is something new to deliver. */
  wake(): void;
  /** Resolves when the batch under way is written down. */
  stop(): Promise<void>;
}

export interface LoopParts extends DeliveryParts {
  logger: Logger;
  /** Looks for records whose back-off ended this often. */
  everyMs: number;
  /** After a wake, waits this long for more records: a batch costs the database and the sink hardly more than one record. */
  gatherMs: number;
  observe: (result: BatchResult) => void;
}

/** One for each sink, so that one that is down or slow holds up no other. */
export function startDeliveryLoop(parts: LoopParts): DeliveryLoop {
  const { sink, logger, backOff } = parts;
  /** `woken`: while running, so that it runs again soon after. */
  let waiting: 'idle' | 'gathering' | 'running' | 'woken' = 'idle';
  let stopped = false;
  let failing = false;
  let running = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  async function drain(): Promise<void> {
    // a sink that answers again takes what waits for it at once, not only when each record's back-off ends
    let earlyMs = 0;
    for (let more = true; more && !stopped;) {
      const result = await deliverUsage(parts, earlyMs);
      parts.observe(result);
      report(result);
      const delivered = result.delivered.length;
      const tried = delivered + result.retry + result.rejected;
      if (failing && delivered > 0) earlyMs = backOff.capMs;
      if (tried > 0) failing = delivered === 0;
      more = delivered > 0 && (earlyMs > 0 || tried === sink.batchSize);
    }
  }

  function report({ delivered, retry, rejected, errors }: BatchResult): void {
    for (const { record, traceparent } of delivered) {
      withContext({ requestId: record.id, traceparent: traceparent ?? undefined }, () =>
        logger.info(`usage record delivered to ${sink.name}`, {
          activity: 'usage.deliver',
          who: 'system',
          resource: record.id,
          sink: sink.name,
          result: 'ok',
        }),
      );
    }
    const fields = { activity: 'usage.deliver', sink: sink.name, retry, rejected, errors };
    if (rejected > 0) logger.error('a sink refuses usage records; mend the sink, they are tried again later', fields);
    else if (retry > 0 && !failing) logger.warn('a sink does not take usage records; they wait for it', fields);
  }

  async function run(): Promise<void> {
    try {
      await drain();
    } catch (error) {
      logger.warn('deliveries wait until their state can be read and written', {
        activity: 'usage.deliver',
        sink: sink.name,
        result: 'waiting',
        error: messageOf(error),
      });
    }
  }

  function runIn(ms: number): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      waiting = 'running';
      running = run().then(() => {
        const next = waiting === 'woken' ? parts.gatherMs : parts.everyMs;
        waiting = waiting === 'woken' ? 'gathering' : 'idle';
        if (!stopped) runIn(next);
      });
    }, ms);
  }

  runIn(0);
  return {
    // bound to the loop's own context, else its log lines would carry the request id of whoever woke it
    wake: AsyncResource.bind(() => {
      if (waiting === 'running') waiting = 'woken';
      if (waiting !== 'idle' || stopped) return;
      waiting = 'gathering';
      runIn(parts.gatherMs);
    }),
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
