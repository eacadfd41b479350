import { createPublicKey, sign, type JsonWebKey, type KeyObject } from 'node:crypto';
import { toBase64url, utf8 } from './bytes';
import { header, signingInput } from './check-signature';
import { parseReceiptBody, type Receipt, type ReceiptBody } from './receipt';

/**
 * Receipts are signed with Ed25519, as JWS in compact form (RFC 7515, RFC 8037). Detached (RFC 7515 appendix F): what
 * is signed is the receipt that the signature is in; a copy of it inside would double the receipt and could differ from
 * what people read.
 */

export interface SigningKey {
  /** Names the key in the header and in the JWK set; at most 64 characters. */
  kid: string;
  privateKey: KeyObject;
}

/** @throws UnreadableReceipt when the body is not as a receipt has to be: nothing is signed that nobody could parse */
export async function signReceipt(body: ReceiptBody, { kid, privateKey }: SigningKey): Promise<Receipt> {
  const sound = parseReceiptBody(body);
  const head = toBase64url(utf8(JSON.stringify(header.parse({ alg: 'EdDSA', kid }))));
  const signature = sign(null, await signingInput(head, sound), privateKey);
  return { ...sound, signature: `${head}..${toBase64url(signature)}` };
}

/** The public half, as `/.well-known/jwks.json` lists it. */
export function publicJwk({ kid, privateKey }: SigningKey): JsonWebKey {
  return { ...createPublicKey(privateKey).export({ format: 'jwk' }), kid, alg: 'EdDSA', use: 'sig' };
}
