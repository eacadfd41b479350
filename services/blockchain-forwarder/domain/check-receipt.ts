import { toHex } from './bytes';
import { faultOfSignature, type Ed25519Jwk } from './check-signature';
import { leafOf } from './leaf';
import { isIncluded } from './merkle-proof';
import { partsOf, type Receipt } from './receipt';

/** What can be said of a receipt, in words for people who know neither Merkle trees nor this program. */
export interface Check {
  what: string;
  result: 'holds' | 'does not hold' | 'could not be checked';
  reason: string;
}

/** @param fault null where it holds */
export function checked(what: string, fault: string | null, proof: string): Check {
  return fault === null ? { what, result: 'holds', reason: proof } : { what, result: 'does not hold', reason: fault };
}

export function unchecked(what: string, reason: string): Check {
  return { what, result: 'could not be checked', reason };
}

/**
 * What a receipt proves by itself, without asking anybody.
 * @param keys those that are believed to sign receipts; null where none are known
 */
export async function checkReceipt(receipt: Receipt, keys: readonly Ed25519Jwk[] | null): Promise<Check[]> {
  return [await signatureCheck(receipt, keys), await inclusionCheck(receipt)];
}

async function signatureCheck(receipt: Receipt, keys: readonly Ed25519Jwk[] | null): Promise<Check> {
  const what = 'the receipt is signed by its issuer, and unchanged since';
  if (keys === null) return unchecked(what, 'no keys of the issuer were given');
  return checked(what, await faultOfSignature(receipt, keys), 'one of the given keys signed exactly this receipt');
}

async function inclusionCheck(receipt: Receipt): Promise<Check> {
  const { record, salt, leafIndex, treeSize, path, root } = partsOf(receipt);
  const isThere = isIncluded({ leaf: await leafOf(record, salt), leafIndex, treeSize, path, root });
  return checked(
    `the record is number ${leafIndex + 1} of the ${treeSize} of its batch`,
    isThere ? null : `record, salt and path do not lead to the root 0x${toHex(root)} at this place`,
    `record, salt and path lead to the root 0x${toHex(root)}`,
  );
}
