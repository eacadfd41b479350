import { z } from 'zod';
import type { SealedRecord } from '../domain/usage-record';
import type { DeliveryOutcome, Receipt, UsageSink } from '../ports/usage-sink';

export interface HttpSinkOptions {
  /** Where the platform's BlockchainService takes usage logs. */
  url: string;
  token?: string | undefined;
  /** For one request, answer included. */
  timeoutMs?: number;
  /** Requests under way at once. */
  parallel?: number;
  now?: () => Date;
}

/** The service says that this very record is wrong. Refusals of us (401, 403, 404) heal once somebody mends them. */
const REJECTED = new Set([400, 413, 415, 422]);
const MAX_RETRY_AFTER_MS = 3_600_000;
const MAX_RECEIPT_BYTES = 4_096;

/**
 * The platform's BlockchainService: `POST {usageHash, metadata}`, one request a record, with the usage hash as
 * `Idempotency-Key`. A redirect is never followed: the token must not reach another host.
 */
export class HttpSink implements UsageSink {
  readonly name = 'http';
  readonly batchSize = 64;

  constructor(private readonly options: HttpSinkOptions) {}

  async deliver(records: readonly SealedRecord[]): Promise<DeliveryOutcome[]> {
    const outcomes: DeliveryOutcome[] = [];
    const waiting = records.entries();
    // set once the service does not answer: the rest of the batch would only wait for the same timeout
    let away: DeliveryOutcome | undefined;
    const work = async (): Promise<void> => {
      for (const [index, record] of waiting) {
        const outcome = away ?? (await this.post(record));
        outcomes[index] = outcome;
        if (outcome.kind === 'retry' && outcome.error.startsWith(NO_ANSWER)) away = outcome;
      }
    };
    await Promise.all(Array.from({ length: this.options.parallel ?? 16 }, work));
    return outcomes;
  }

  /** The BlockchainService's API has no question for it. */
  find(): Promise<null> {
    return Promise.resolve(null);
  }

  private async post({ usageHash, record }: SealedRecord): Promise<DeliveryOutcome> {
    const { url, token, timeoutMs = 10_000 } = this.options;
    try {
      const response = await fetch(url, {
        method: 'POST',
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          'content-type': 'application/json',
          'idempotency-key': usageHash,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify({ usageHash, metadata: record }),
      });
      const body = await limitedText(response);
      if (response.ok) return { kind: 'delivered', receipt: receiptOf(response.status, body) };
      const error = `the service answered ${response.status}`;
      if (REJECTED.has(response.status)) return { kind: 'rejected', error };
      return { kind: 'retry', error, ...this.retryAfter(response.headers.get('retry-after')) };
    } catch (error) {
      return { kind: 'retry', error: `${NO_ANSWER} (${reasonOf(error)})` };
    }
  }

  /** Seconds or an HTTP date (RFC 9110); anything else, and waits beyond an hour, are not believed. */
  private retryAfter(header: string | null): { retryAfterMs?: number } {
    if (header === null) return {};
    const now = (this.options.now ?? (() => new Date()))();
    const wait = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now.getTime();
    return Number.isNaN(wait) ? {} : { retryAfterMs: Math.min(MAX_RETRY_AFTER_MS, Math.max(0, wait)) };
  }
}

const NO_ANSWER = 'the service does not answer';

/** Up to the limit, since only a receipt is of interest; the rest is not read. */
async function limitedText(response: Response): Promise<string> {
  let text = '';
  if (!response.body) return text;
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > MAX_RECEIPT_BYTES) break;
  }
  return text;
}

const answer = z.record(z.string(), z.json());

/** The service's own words are kept when they are a JSON object of moderate size; the status alone is proof enough. */
function receiptOf(status: number, body: string): Receipt {
  if (body.length > MAX_RECEIPT_BYTES) return { status };
  try {
    const parsed = answer.safeParse(JSON.parse(body));
    return parsed.success ? { status, answer: parsed.data } : { status };
  } catch (error) {
    if (error instanceof SyntaxError) return { status };
    throw error;
  }
}

/** Node puts the interesting part, such as ECONNREFUSED, into the cause. */
function reasonOf(error: unknown): string {
  const { name, message, cause } = error as Partial<Error>;
  if (name === 'TimeoutError') return 'timeout';
  const { code } = (cause ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : (message ?? 'unknown');
}
