import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { toBase64url } from '../../domain/bytes';
import { leafOf } from '../../domain/leaf';
import { merkleTree, rootOf } from '../../domain/merkle';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * Reads a file of the ledger as a stranger would, from front to back, and checks all that can be checked in it.
 * @returns of each batch its root, then its records' usage hashes
 */
export async function readLedgerFile(path: string): Promise<{ root: string; hashes: string[] }[]> {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  const batches: { root: string; hashes: string[] }[] = [];
  let [begun, at, previous, previousRoot, sequence]: [string[], number, string, string, number] = [
    [],
    0,
    '0'.repeat(64),
    `0x${'0'.repeat(64)}`,
    1,
  ];
  for (const line of lines) {
    const value = JSON.parse(line);
    if (value.batch === undefined) {
      begun.push(line);
      continue;
    }
    const entries = begun.map((each) => JSON.parse(each));
    const leaves = await Promise.all(entries.map(({ record, salt }) => leafOf(record, Buffer.from(salt, 'base64url'))));
    expect(entries.map(({ leaf }) => leaf)).toEqual(leaves.map(toBase64url));
    expect(value).toMatchObject({
      version: 1,
      from: at,
      previous,
      records: sha256(begun.join('\n')),
      batch: {
        batchId: batches.length + 1,
        root: `0x${rootOf(merkleTree(leaves)).toString('hex')}`,
        count: entries.length,
        firstSequence: sequence,
        previousRoot,
      },
    });
    batches.push({ root: value.batch.root, hashes: entries.map(({ usageHash }) => usageHash) });
    at += Buffer.byteLength([...begun, line, ''].join('\n'));
    sequence += entries.length;
    [begun, previous, previousRoot] = [[], sha256(line), value.batch.root];
  }
  expect(begun).toEqual([]);
  return batches;
}
