import { createPublicKey, hash, verify } from 'node:crypto';
import { joined } from './bytes';

/**
 * The two pieces of cryptography that a receipt rests on, as Node has them. verifier/page/primitives.ts is the same for
 * a browser, and takes this file's place in the page; one test holds for both.
 */

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return hash('sha256', joined(...parts), 'buffer');
}

/** @param x the public key, base64url @returns false also for a key that is none */
export function isEd25519Signature(signature: Uint8Array, message: Uint8Array, x: string): boolean {
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    return verify(null, message, key, signature);
  } catch {
    return false;
  }
}
