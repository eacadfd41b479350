import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { leafOf } from '../../domain/leaf';
import { inclusionPath, merkleTree, rootOf } from '../../domain/merkle';
import { signReceipt, type SigningKey } from '../../domain/receipt-signature';
import type { Receipt, ReceiptBody } from '../../domain/receipt';
import { usageRecord } from './samples';

export function signingKey(kid = 'ledger-2026'): SigningKey {
  return { kid, privateKey: generateKeyPairSync('ed25519').privateKey };
}

export const KEY = signingKey();
const hex = (bytes: number): string => `0x${randomBytes(bytes).toString('hex')}`;

/** What a receipt says of one of the records of a batch, with an anchor that is made up unless given. */
export async function receiptBody(size = 1_000, leafIndex = 412, anchor: Partial<ReceiptBody> = {}) {
  const records = Array.from({ length: size }, () => ({ record: usageRecord(), salt: randomBytes(16) }));
  const tree = merkleTree(await Promise.all(records.map(({ record, salt }) => leafOf(record, salt))));
  const { record, salt } = records[leafIndex]!;
  const body: ReceiptBody = {
    version: 1,
    record,
    salt: salt.toString('base64url'),
    leafIndex,
    treeSize: size,
    path: inclusionPath(tree, leafIndex).map((hash) => hash.toString('base64url')),
    root: `0x${rootOf(tree).toString('hex')}`,
    batchId: '1234',
    firstSequence: 1_234_001,
    previousRoot: hex(32),
    chainId: 31_337,
    contract: hex(20),
    transaction: hex(32),
    blockNumber: 12_345_678,
    blockHash: hex(32),
    ...anchor,
  };
  return body;
}

export async function signedReceipt(...given: Parameters<typeof receiptBody>): Promise<Receipt> {
  return signReceipt(await receiptBody(...given), KEY);
}
