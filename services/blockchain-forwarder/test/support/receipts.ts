import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { leafOf } from '../../domain/leaf';
import { inclusionPath, merkleTree, rootOf } from '../../domain/merkle';
import { signReceipt, type SigningKey } from '../../domain/receipt-signature';
import { receiptBodyOf, type Receipt, type ReceiptParts } from '../../domain/receipt';
import type { UsageRecord } from '../../domain/usage-record';
import { usageRecord } from './samples';

export function signingKey(kid = 'ledger-2026'): SigningKey {
  return { kid, privateKey: generateKeyPairSync('ed25519').privateKey };
}

export const KEY = signingKey();
const hex = (bytes: number): string => `0x${randomBytes(bytes).toString('hex')}`;

/** What a receipt says of one of the records of a batch, with an anchor that is made up unless given. */
export async function receiptBody(size = 1_000, leafIndex = 412, given: Partial<ReceiptParts> = {}) {
  const salted = (record: UsageRecord) => ({ record, salt: randomBytes(16) });
  const records = Array.from({ length: size }, () => salted(usageRecord()));
  const own = given.record ? salted(given.record) : records[leafIndex]!;
  const tree = merkleTree(
    await Promise.all(records.with(leafIndex, own).map(({ record, salt }) => leafOf(record, salt))),
  );
  return receiptBodyOf({
    ...own,
    leafIndex,
    treeSize: size,
    sequence: 1_234_001 + leafIndex,
    path: inclusionPath(tree, leafIndex),
    root: rootOf(tree),
    chainId: 31_337,
    contract: hex(20),
    transaction: hex(32),
    block: hex(32),
    ...given,
  });
}

export async function signedReceipt(...given: Parameters<typeof receiptBody>): Promise<Receipt> {
  return signReceipt(await receiptBody(...given), KEY);
}
