import { ed25519 } from '@noble/curves/ed25519';
import { sha256 as sha256Of } from 'viem/utils';
import { fromBase64url, joined } from '../../domain/bytes';

/** In the page this takes the place of domain/primitives.ts: browsers have SHA-256 and Ed25519 not everywhere. */

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return sha256Of(joined(...parts), 'bytes');
}

/** @param x the public key, base64url @returns false also for a key that is none */
export function isEd25519Signature(signature: Uint8Array, message: Uint8Array, x: string): boolean {
  const key = fromBase64url(x);
  if (key === null) return false;
  try {
    return ed25519.verify(signature, message, key, { zip215: false });
  } catch {
    return false;
  }
}
