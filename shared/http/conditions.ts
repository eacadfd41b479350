import { createHash } from 'node:crypto';
import { AppError, idempotencyKeyReused, invalid } from '../errors';
import { uuidFromName } from '../contracts/ids';

/** A strong entity tag (RFC 9110 §8.8.3) for a version string. */
export function entityTag(version: string): string {
  return `"${version}"`;
}

/**
 * Honours `If-Match` (RFC 9110 §13.1.1): absent or `*` passes.
 * @throws AppError `request.precondition_failed` (412)
 */
export function checkIfMatch(header: string | undefined, version: string): void {
  if (header === undefined || header.trim() === '*') return;
  const tags = header.split(',').map((tag) => tag.trim());
  if (!tags.includes(entityTag(version))) {
    throw new AppError(
      'precondition_failed',
      'request.precondition_failed',
      'It has changed since you read it; read it again and decide anew.',
      { facts: { current_etag: entityTag(version) } },
    );
  }
}

/** One client's promise that a repeated request is the same request. */
export interface IdempotencyKey {
  /** Names the state row that remembers the answer; differs by caller and endpoint. */
  id: string;
  /** SHA-256 of the request's content: the same key with another one is refused. */
  fingerprint: string;
}

const KEY = /^[\x21-\x7e]{1,255}$/;

/**
 * Reads `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).
 * @param scope what one key is unique within: the caller and the endpoint, for example [sub, 'POST /resource_pools']
 */
export function idempotencyKey(
  header: string | undefined,
  scope: readonly string[],
  content: unknown,
): IdempotencyKey | undefined {
  if (header === undefined) return undefined;
  if (!KEY.test(header)) {
    throw invalid([{ field: 'header.Idempotency-Key', message: 'must be 1 to 255 visible ASCII characters' }]);
  }
  return {
    id: uuidFromName(JSON.stringify(['idempotency', ...scope, header])),
    fingerprint: createHash('sha256').update(JSON.stringify(content)).digest('hex'),
  };
}

/** Seconds for which an answer is remembered. */
export const IDEMPOTENCY_TTL_SECONDS = 86_400;

/** @throws AppError `request.idempotency_key_reused` (422) */
export function checkFingerprint(key: IdempotencyKey, remembered: string): void {
  if (key.fingerprint !== remembered) throw idempotencyKeyReused();
}

/** True when the client states this preference (`Prefer`, RFC 7240), for example `respond-async`. */
export function prefers(header: string | undefined, preference: string): boolean {
  return (header ?? '').split(',').some((stated) => stated.split(/[;=]/)[0]?.trim().toLowerCase() === preference);
}
