import { createPublicKey, sign, verify, type JsonWebKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { parseReceiptBody, signedBytes, type Receipt, type ReceiptBody } from './receipt';

/**
 * Receipts are signed with Ed25519, as JWS in compact form (RFC 7515, RFC 8037). Detached (RFC 7515 appendix F): what
 * is signed is the receipt that the signature is in; a copy of it inside would double the receipt and could differ from
 * what people read.
 */

export interface SigningKey {
  /** Names the key in the header and in the JWK set. */
  kid: string;
  privateKey: KeyObject;
}

const header = z.strictObject({ alg: z.literal('EdDSA'), kid: z.string().min(1).max(100) });

const jwkSet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });
const ed25519Key = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), kid: z.string() });

export type Ed25519Jwk = z.infer<typeof ed25519Key>;

/** @throws UnreadableReceipt when the body is not as a receipt has to be: nothing is signed that nobody could parse */
export async function signReceipt(body: ReceiptBody, { kid, privateKey }: SigningKey): Promise<Receipt> {
  const sound = parseReceiptBody(body);
  const head = base64url(Buffer.from(JSON.stringify(header.parse({ alg: 'EdDSA', kid }))));
  const signature = sign(null, await signingInput(head, sound), privateKey);
  return { ...sound, signature: `${head}..${base64url(signature)}` };
}

/** The public half, as `/.well-known/jwks.json` lists it. */
export function publicJwk({ kid, privateKey }: SigningKey): JsonWebKey {
  return { ...createPublicKey(privateKey).export({ format: 'jwk' }), kid, alg: 'EdDSA', use: 'sig' };
}

/** @returns the Ed25519 keys of a JWK set; others in it are none of ours @throws when it is no JWK set */
export function ed25519Keys(value: unknown): Ed25519Jwk[] {
  return jwkSet.parse(value).keys.flatMap((key) => ed25519Key.safeParse(key).data ?? []);
}

/** @returns null when one of the keys made the signature, else what is wrong with it */
export async function faultOfSignature(receipt: Receipt, keys: readonly Ed25519Jwk[]): Promise<string | null> {
  const [head = '', , signature = ''] = receipt.signature.split('.');
  const named = keyName(head);
  if (named === null) return 'its header is not that of a receipt: Ed25519 and the name of a key, nothing else';
  const candidates = keys.filter(({ kid }) => kid === named);
  if (candidates.length === 0) return `none of the given keys is named ${JSON.stringify(named)}`;
  const input = await signingInput(head, receipt);
  const isGood = candidates.some((key) => isSignedBy(key, input, Buffer.from(signature, 'base64url')));
  return isGood ? null : `it was not made over this receipt by the key ${JSON.stringify(named)}`;
}

/** @returns the name of the key that a signature says it was made with, null for a header that is none of a receipt */
function keyName(head: string): string | null {
  try {
    return header.parse(JSON.parse(Buffer.from(head, 'base64url').toString('utf8'))).kid;
  } catch {
    return null;
  }
}

function isSignedBy({ kty, crv, x }: Ed25519Jwk, input: Buffer, signature: Buffer): boolean {
  try {
    return verify(null, input, createPublicKey({ key: { kty, crv, x }, format: 'jwk' }), signature);
  } catch {
    // a key that is none: its x is not a point's
    return false;
  }
}

async function signingInput(head: string, body: ReceiptBody): Promise<Buffer> {
  return Buffer.from(`${head}.${base64url(await signedBytes(body))}`, 'ascii');
}

const base64url = (bytes: Buffer): string => bytes.toString('base64url');
