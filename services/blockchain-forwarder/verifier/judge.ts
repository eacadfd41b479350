import { checkReceipt, checked, unchecked, type Check } from '../domain/check-receipt';
import { ed25519Keys, type Ed25519Jwk } from '../domain/check-signature';
import { parseReceipt, partsOf, type Receipt } from '../domain/receipt';
import { toHex } from '../domain/bytes';
import { checkAnchor } from './check-anchor';
import { checkHeader } from './check-header';
import { chainAt } from './json-rpc';

/**
 * Says what holds of a receipt, and trusts nothing of the system that made it: it takes the receipt, keys, and a chain,
 * a header or a root, and knows no service, database or configuration. The command (verify.ts) and the page
 * (page/page.ts) both only hand things in and show what comes out.
 */

export const EXIT = { holds: 0, doesNotHold: 1, notAllChecked: 2, notUnderstood: 64 } as const;

/** What was handed in is not as it has to be, so that nothing can be said of the receipt. */
export class NotUnderstood extends Error {}

/** Texts as they stand in their files; what is not given is null. */
export interface Given {
  receipt: string;
  jwks: string | null;
  rpc: string | null;
  root: string | null;
  header: string | null;
  receipts: string | null;
}

/** All texts are safe to show on a terminal; a page has to show them as text. */
export interface Verdict {
  code: (typeof EXIT)[keyof typeof EXIT];
  conclusion: string;
  /** Null when it is no receipt. */
  shown: { sequence: number; record: string } | null;
  checks: Check[];
}

/** @throws NotUnderstood */
export async function judge(given: Given): Promise<Verdict> {
  const fault = faultOf(given);
  if (fault !== null) throw new NotUnderstood(fault);
  const keys = given.jwks === null ? null : keysIn(given.jwks);
  let receipt: Receipt;
  try {
    receipt = parseReceipt(given.receipt);
  } catch (error) {
    const conclusion = printable(`This is no receipt: ${(error as Error).message}`);
    return { code: EXIT.doesNotHold, conclusion, shown: null, checks: [] };
  }
  const checks = [...(await checkReceipt(receipt, keys)), ...(await anchorChecks(receipt, given))];
  return {
    ...conclusionOf(checks),
    shown: { sequence: receipt.sequence, record: printable(JSON.stringify(receipt.record, null, 2)) },
    checks: checks.map(({ what, result, reason }) => ({ what: printable(what), result, reason: printable(reason) })),
  };
}

async function anchorChecks(receipt: Receipt, { rpc, root, header, receipts }: Given): Promise<Check[]> {
  if (rpc !== null) return checkAnchor(receipt, chainAt(rpc));
  if (header !== null) return checkHeader(receipt, { header, receipts });
  const what = 'the root is the anchored one';
  if (root === null) return [unchecked(what, 'neither a chain nor a header nor a root was given')];
  const own = `0x${toHex(partsOf(receipt).root)}`;
  const fault = own === root.toLowerCase() ? null : `the receipt has ${own}, you gave ${root}`;
  return [checked(what, fault, 'it is the one that you gave; contract, transaction and block were not looked up')];
}

function conclusionOf(checks: Check[]): Pick<Verdict, 'code' | 'conclusion'> {
  if (checks.some(({ result }) => result === 'does not hold')) {
    return { code: EXIT.doesNotHold, conclusion: 'The receipt does NOT hold.' };
  }
  if (checks.some(({ result }) => result === 'could not be checked')) {
    const conclusion = 'Nothing speaks against the receipt, but not everything could be checked.';
    return { code: EXIT.notAllChecked, conclusion };
  }
  return { code: EXIT.holds, conclusion: 'Everything holds.' };
}

function faultOf({ rpc, root, header, receipts }: Given): string | null {
  if ([rpc, root, header].filter((each) => each !== null).length > 1) {
    return 'give a chain, a header or a root, and only one of them';
  }
  if (receipts !== null && header === null) return 'give the header of the block that the receipts are of';
  if (rpc !== null && !/^https?:\/\//.test(rpc)) return 'the chain has to be a URL of http or https';
  if (root !== null && !/^0x[0-9a-f]{64}$/i.test(root)) return 'the root has to be 0x and 64 digits';
  return null;
}

function keysIn(jwks: string): Ed25519Jwk[] {
  try {
    return ed25519Keys(JSON.parse(jwks));
  } catch {
    throw new NotUnderstood('the keys are no JWK set');
  }
}

/** What steers a terminal, or turns text around, is shown as an escape: the text may be anybody's. */
export function printable(text: string): string {
  return text.replace(/[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu, (sign) => `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`);
}
