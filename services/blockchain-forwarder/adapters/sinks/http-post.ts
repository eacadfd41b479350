import { z } from 'zod';
import type { StoredUsage } from '../../domain/usage-record';
import type { Receipt } from '../../ports/ledger-sink';

export interface PostOptions {
  /** Where the platform's BlockchainService takes usage logs. */
  url: string;
  token?: string | undefined;
  /** For one request, answer included. */
  timeoutMs: number;
}

export type Answer =
  | { kind: 'accepted'; receipt: Receipt }
  /** The service says that this very record is wrong. */
  | { kind: 'refused'; detail: string }
  /** `isLimit`: it was one request too many, whichever record it was for. */
  | { kind: 'failed'; error: string; retryAfterMs?: number; isLimit: boolean };

const REFUSES = new Set([400, 413, 415, 422]);
const TOO_MANY = 429;
const CURES: Record<number, string> = {
  401: 'the token is not taken: set BLOCKCHAIN_SERVICE_TOKEN',
  403: 'the token is not taken: set BLOCKCHAIN_SERVICE_TOKEN',
  404: 'there is nothing to post to: set BLOCKCHAIN_SERVICE_URL',
};
const MAX_RETRY_AFTER_MS = 3_600_000;
const MAX_BODY_BYTES = 4_096;
const MAX_SAID = 200;

/**
 * One request for one record. A redirect is never followed: the token must not reach another host. Success without a
 * readable receipt is a failure, since the receipt is the proof; posted again, the service gives it again.
 */
export async function postUsage({ usageHash, record }: StoredUsage, options: PostOptions): Promise<Answer> {
  const { url, token, timeoutMs } = options;
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'idempotency-key': usageHash,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ usageHash, metadata: record }),
    });
    return answerOf(response, await limitedText(response), token);
  } catch (error) {
    return { kind: 'failed', error: `the service does not answer (${reasonOf(error)})`, isLimit: false };
  }
}

/** @param body null when it is longer than any receipt */
function answerOf({ status, ok, headers }: Response, body: string | null, token: string | undefined): Answer {
  if (ok) {
    const answer = body === null ? null : objectOf(body);
    if (answer !== null) return { kind: 'accepted', receipt: { status, answer } };
    const error = `the service answered ${status} without a receipt: a JSON object of at most ${MAX_BODY_BYTES} bytes`;
    return { kind: 'failed', error, isLimit: false };
  }
  const said = wordsOf(body ?? '', token);
  if (REFUSES.has(status)) return { kind: 'refused', detail: `the service answered ${status}${said}` };
  const redirect = status >= 300 && status < 400 ? 'redirects are not followed: set BLOCKCHAIN_SERVICE_URL' : undefined;
  const cure = redirect ?? CURES[status];
  const error = `the service answered ${status}${cure === undefined ? said : ` (${cure})`}`;
  return { kind: 'failed', error, ...retryAfter(headers.get('retry-after')), isLimit: status === TOO_MANY };
}

/** Seconds or an HTTP date (RFC 9110); anything else, and waits beyond an hour, are not believed. */
function retryAfter(header: string | null): { retryAfterMs?: number } {
  if (header === null) return {};
  const wait = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(wait) ? {} : { retryAfterMs: Math.min(MAX_RETRY_AFTER_MS, Math.max(0, wait)) };
}

/** The rest of a longer body is not read. */
async function limitedText(response: Response): Promise<string | null> {
  if (!response.body) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const jsonObject = z.record(z.string(), z.json());

/** @returns null also for text that a state store cannot keep: NUL and half surrogate pairs */
function objectOf(body: string): Record<string, z.core.util.JSONType> | null {
  let value: unknown;
  try {
    value = JSON.parse(body, (key: string, each: unknown) => {
      if ([key, each].some((text) => typeof text === 'string' && UNKEEPABLE.test(text))) throw new SyntaxError(key);
      return each;
    });
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  return jsonObject.safeParse(value).data ?? null;
}

const UNKEEPABLE = /[\0\p{Cs}]/u;

/** For people: one line, no token, whatever the service echoes. */
function wordsOf(body: string, token: string | undefined): string {
  const plain = (token ? body.replaceAll(token, '…') : body).replace(/[\p{C}\s]+/gu, ' ').trim();
  return plain === '' ? '' : `: ${[...plain].slice(0, MAX_SAID).join('')}`;
}

/** Node puts the interesting part, such as ECONNREFUSED, into the cause. */
function reasonOf(error: unknown): string {
  const { name, message, cause } = error as Partial<Error>;
  if (name === 'TimeoutError') return 'timeout';
  const { code } = (cause ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : (message ?? 'unknown');
}
