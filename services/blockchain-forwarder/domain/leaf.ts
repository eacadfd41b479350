import { utf8 } from './bytes';
import { canonicalText } from './canonical-json';
import { sha256 } from './primitives';
import type { UsageRecord } from './usage-record';

/** Without it a hash on a public chain could be guessed: who used what has few possible values. */
export const SALT_BYTES = 16;

/** RFC 9162 §2.1.1: a leaf can never be taken for an inner node, which is hashed after 0x01. */
const LEAF_PREFIX = Uint8Array.of(0x00);

/**
 * What stands for a record in a Merkle tree: SHA-256(0x00 ‖ salt ‖ JCS(record)), 32 bytes. docs/usage-record.md tells
 * what is in a record, docs/usage-record-vectors.json has examples.
 * @param salt 16 random bytes, drawn anew for each record and kept with it, off the chain
 * @throws RangeError for a salt of another length; TypeError or Error for a record that has no canonical form
 */
export async function leafOf(record: UsageRecord, salt: Uint8Array): Promise<Uint8Array> {
  return leafOfText(await canonicalText(record), salt);
}

/** @param text the record's canonical JSON @throws RangeError for a salt of another length */
export function leafOfText(text: string, salt: Uint8Array): Uint8Array {
  if (salt.length !== SALT_BYTES) throw new RangeError(`a salt has ${SALT_BYTES} bytes, not ${salt.length}`);
  return sha256(LEAF_PREFIX, salt, utf8(text));
}
