import type { Logger, SeqLogLevel } from 'seq-logging';
import { DefineLogger } from 'seq-logging/seq_logger.js';
import TransportStream from 'winston-transport';

const SeqClient = DefineLogger(Blob, fetch, AbortController);

export interface SeqOptions {
  url: string;
  apiKey?: string | undefined;
  /** Lines kept while Seq is slow or away; beyond it the oldest are dropped. */
  maxWaiting?: number;
  flushEveryMs?: number;
}

const LEVELS: Record<string, SeqLogLevel> = { error: 'Error', warn: 'Warning', info: 'Information', debug: 'Debug' };
const BATCH = 500;
/** Below the client's own limit of 1 MB a post, also where each character takes three bytes: what it cannot post, it keeps. */
const BATCH_CHARACTERS = 300_000;

/**
 * Ships log lines to Seq. seq-logging's own queue grows without bound while Seq does not answer, so the lines wait here,
 * bounded, and the client is handed one batch at a time. What fails is lost to Seq only: the console has it.
 */
export class SeqTransport extends TransportStream {
  private readonly client: Logger;
  private readonly waiting: Record<string, unknown>[] = [];
  private readonly maxWaiting: number;
  private readonly timer: NodeJS.Timeout;
  private shipping: Promise<void> | undefined;
  private dropped = 0;

  constructor(options: SeqOptions) {
    super();
    this.maxWaiting = options.maxWaiting ?? 10_000;
    this.client = new SeqClient({
      serverUrl: options.url,
      ...(options.apiKey === undefined ? {} : { apiKey: options.apiKey }),
      requestTimeout: 5_000,
      maxRetries: 1,
      retryDelay: 500,
      // its own timer finds nothing to do, since every batch is flushed at once; it only must not outlive the process
      maxBatchingTime: 500,
      onError: () => {
        this.dropped += 1;
      },
    });
    this.timer = setInterval(() => void this.ship(), options.flushEveryMs ?? 500);
    this.timer.unref();
  }

  override log(info: Record<string, unknown>, next: () => void): void {
    if (this.waiting.length >= this.maxWaiting) {
      this.waiting.shift();
      this.dropped += 1;
    }
    this.waiting.push({ ...info });
    next();
  }

  /** Lines not yet handed over; for tests of the bound. */
  get backlog(): number {
    return this.waiting.length;
  }

  /** Sends what waits, but never holds up the end of the process for longer than a second. */
  async finish(): Promise<void> {
    clearInterval(this.timer);
    const shipped = this.ship().then(() => this.ship());
    await Promise.race([shipped, new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);
  }

  private ship(): Promise<void> {
    this.shipping ??= this.shipBatch().finally(() => {
      this.shipping = undefined;
    });
    return this.shipping;
  }

  private takeBatch(): Record<string, unknown>[] {
    let count = 0;
    let characters = 0;
    while (count < Math.min(BATCH, this.waiting.length)) {
      characters += JSON.stringify(this.waiting[count]).length;
      if (count > 0 && characters > BATCH_CHARACTERS) break;
      count += 1;
    }
    return this.waiting.splice(0, count);
  }

  private async shipBatch(): Promise<void> {
    const batch = this.takeBatch();
    if (batch.length === 0) return;
    for (const { message, level, timestamp, trace_id: traceId, ...properties } of batch) {
      this.client.emit({
        timestamp: new Date(String(timestamp)),
        level: LEVELS[String(level)] ?? 'Information',
        messageTemplate: String(message),
        ...(typeof traceId === 'string' ? { traceId } : {}),
        properties: { ...properties, ...(traceId === undefined ? {} : { trace_id: traceId }) },
      });
    }
    if (this.dropped > 0) {
      this.client.emit({
        timestamp: new Date(),
        level: 'Warning',
        messageTemplate: 'log lines were lost to Seq while it was slow or away',
        properties: { lost_or_failed_batches: this.dropped },
      });
      this.dropped = 0;
    }
    await this.client.flush();
  }
}
