import { z } from 'zod';
import { HEADER_TEXT, headerText, HTTP_URL, httpUrl } from '../../../../shared/process/variable';
import type { LedgerSink, OpenBatch, Receipt, StepParts, StepResult } from '../../ports/ledger-sink';
import { SinkMisconfigured } from '../../ports/ledger-sink';
import { HttpStep, IDLE_MS, without, type HttpProgress, type HttpSinkOptions } from './http-step';

export const httpVariables = {
  BLOCKCHAIN_SERVICE_URL: httpUrl
    .optional()
    .meta({ description: 'where the sink `http` posts usage records', allowed: HTTP_URL }),
  BLOCKCHAIN_SERVICE_TOKEN: headerText
    .optional()
    .meta({ description: 'its bearer token', allowed: HEADER_TEXT, secret: true }),
  BLOCKCHAIN_SERVICE_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(10_000)
    .default(10_000)
    .meta({ description: 'for one request' }),
};

/** @returns null when it is not switched on */
export function httpSink({
  BLOCKCHAIN_SERVICE_URL: url,
  BLOCKCHAIN_SERVICE_TOKEN: token,
  BLOCKCHAIN_SERVICE_TIMEOUT_MS: timeoutMs,
}: z.output<z.ZodObject<typeof httpVariables>>): HttpLedgerSink | null {
  return url === undefined ? null : new HttpLedgerSink({ url, token, timeoutMs });
}

/**
 * The platform's BlockchainService: `POST {usageHash, metadata}`, one request a record. It de-duplicates by the usage
 * hash, which is the request's `Idempotency-Key`: a record may be posted again whenever it is not certain that it passed.
 *
 * A record that fails while others pass has tries, and is refused after the last. When nothing passes, the service is in
 * trouble, and no record is blamed for it.
 */
export class HttpLedgerSink implements LedgerSink<HttpProgress> {
  readonly name = 'http';
  readonly window = 4;
  readonly place: string;

  constructor(private readonly options: HttpSinkOptions) {
    const url = URL.canParse(options.url) ? new URL(options.url) : null;
    this.place = url ? `${url.origin}${url.pathname}` : 'an unusable address';
  }

  async check(): Promise<void> {
    const { url, token = '' } = this.options;
    const parsed = URL.canParse(url) ? new URL(url) : null;
    if (parsed === null || !['http:', 'https:'].includes(parsed.protocol))
      throw new SinkMisconfigured('BLOCKCHAIN_SERVICE_URL must be an address with http or https');
    if (parsed.username !== '' || parsed.password !== '')
      throw new SinkMisconfigured(
        'BLOCKCHAIN_SERVICE_URL must not hold a user or a password: set BLOCKCHAIN_SERVICE_TOKEN instead',
      );
    if (!/^[\x21-\x7e]*$/.test(token))
      throw new SinkMisconfigured('BLOCKCHAIN_SERVICE_TOKEN must be one line of printable ASCII without spaces');
  }

  async step(open: readonly OpenBatch<HttpProgress>[], parts: StepParts): Promise<StepResult<HttpProgress>> {
    try {
      return await new HttpStep(open, parts, this.options).run();
    } catch (error) {
      const trouble = { error: `the step broke off: ${(error as Error).message}` };
      return { advances: [], refusals: [], nextMs: IDLE_MS, trouble };
    }
  }

  receiptOf({ receipts }: HttpProgress, recordId: string): Receipt | null {
    return receipts[recordId] ?? null;
  }

  /** The BlockchainService's API has no question for it. */
  confirm(): Promise<null> {
    return Promise.resolve(null);
  }

  reopened({ receipts, tries, refused }: HttpProgress, recordId: string): HttpProgress {
    return { receipts, tries: without(tries, recordId), refused: without(refused, recordId) };
  }
}
