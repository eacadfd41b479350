import { messageOf } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
import { SinkMisconfigured, type LedgerSink } from '../ports/ledger-sink';
import { advanceSink, releaseSink, type SinkParts, type Step } from './advance-sink';
import { closeBatch, type ClosingParts } from './close-batches';
import { startLoop, type Later, type Loop } from './loop';

export interface LedgerParts {
  closing: ClosingParts;
  sinks: readonly LedgerSink[];
  /** What each sink's steps need beside the sink. */
  stepping: Omit<SinkParts, 'sink'>;
  logger: Logger;
  observe: (sink: string, step: Step) => void;
  /** By timers, where nothing is given. */
  later?: Later;
}

/** Between looks at what waits for a batch: above it, only what another process left behind waits longer. */
const LOOK_MS = 500;
/** After a wake: what comes within goes into the same look. */
const GATHER_MS = 50;
const AFTER_ERROR_MS = 1_000;

/** Closes batches, and hands them to every sink, each in a loop of its own: one that is down or slow holds up no other. */
export function runLedger(parts: LedgerParts): Loop {
  const sinks = parts.sinks.map((sink) => sinkLoop(sink, parts));
  const closing = startLoop(
    () => closingTurn(parts, () => sinks.forEach((loop) => loop.wake())),
    GATHER_MS,
    parts.later,
  );
  return {
    wake: () => closing.wake(),
    stop: async () => {
      await Promise.all([closing, ...sinks].map((loop) => loop.stop()));
      const released = parts.sinks.map((sink) => releaseSink({ ...parts.stepping, sink }));
      // without the store the leases end by themselves
      await Promise.allSettled(released);
    },
  };
}

async function closingTurn({ closing, logger }: LedgerParts, wakeSinks: () => void): Promise<number> {
  try {
    for (let batch = await closeBatch(closing); batch; batch = await closeBatch(closing)) {
      if (batch === 'again') continue;
      const { batchId, count, root } = batch;
      logger.info('a batch of usage records is closed', {
        activity: 'ledger.close',
        who: 'system',
        resource: String(batchId),
        result: 'ok',
        records: count,
        root,
      });
      wakeSinks();
    }
    return LOOK_MS;
  } catch (error) {
    logger.warn('batches wait until the ledger can be read and written', {
      activity: 'ledger.close',
      result: 'waiting',
      error: messageOf(error),
    });
    return AFTER_ERROR_MS;
  }
}

function sinkLoop(sink: LedgerSink, { stepping, logger, observe, later }: LedgerParts): Loop {
  const fields = { activity: 'ledger.deliver', sink: sink.name };
  let checked = false;

  function report({ advanced, refused, error, failedBefore }: Step): void {
    for (const { batchId, stage } of advanced) {
      logger.info(`batch ${stage} at ${sink.name}`, {
        ...fields,
        who: 'system',
        resource: String(batchId),
        result: 'ok',
      });
    }
    if (refused > 0) {
      logger.error('a sink refuses usage records; see the dead letters', {
        ...fields,
        result: 'sink.refused',
        refused,
      });
    }
    if (error !== null && !failedBefore) {
      logger.warn('a sink does not work; batches wait for it', { ...fields, result: 'waiting', error });
    } else if (error === null && failedBefore) logger.info('a sink works again', { ...fields, result: 'ok' });
  }

  return startLoop(
    async () => {
      try {
        if (!checked) await sink.check();
        checked = true;
        const step = await advanceSink({ ...stepping, sink });
        observe(sink.name, step);
        report(step);
        return step.nextMs;
      } catch (error) {
        const level = error instanceof SinkMisconfigured ? 'error' : 'warn';
        logger[level]('batches wait: their sink or their state cannot be reached', {
          ...fields,
          result: 'waiting',
          error: messageOf(error),
        });
        return AFTER_ERROR_MS;
      }
    },
    0,
    later,
  );
}
