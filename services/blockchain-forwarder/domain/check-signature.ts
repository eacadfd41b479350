import { z } from 'zod';
import { fromBase64url, toBase64url, utf8 } from './bytes';
import { isEd25519Signature } from './primitives';
import { signedBytes, type Receipt, type ReceiptBody } from './receipt';

/** Checks what domain/receipt-signature.ts signs, in Node and in browsers. */

export const header = z.strictObject({ alg: z.literal('EdDSA'), kid: z.string().min(1).max(64) });

const jwkSet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });
const ed25519Key = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), kid: z.string() });

export type Ed25519Jwk = z.infer<typeof ed25519Key>;

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
  const made = fromBase64url(signature);
  const isGood = made !== null && candidates.some(({ x }) => isEd25519Signature(made, input, x));
  return isGood ? null : `it was not made over this receipt by the key ${JSON.stringify(named)}`;
}

/** @returns the name of the key that a signature says it was made with, null for a header that is none of a receipt */
function keyName(head: string): string | null {
  const bytes = fromBase64url(head);
  if (bytes === null) return null;
  try {
    return header.parse(JSON.parse(new TextDecoder().decode(bytes))).kid;
  } catch {
    return null;
  }
}

/** RFC 7515 §5.1: what a signature is made over. */
export async function signingInput(head: string, body: ReceiptBody): Promise<Uint8Array> {
  return utf8(`${head}.${toBase64url(await signedBytes(body))}`);
}
