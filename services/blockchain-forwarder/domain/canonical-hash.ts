import { createHash } from 'node:crypto';
import { canonicalText } from './canonical-json';

/**
 * SHA-256 of the value's canonical JSON.
 * @returns `0x` and 64 hexadecimal digits, as the contract's `bytes32` is written
 * @throws as canonicalText
 */
export async function canonicalHash(value: object): Promise<string> {
  const json = await canonicalText(value);
  return `0x${createHash('sha256').update(json, 'utf8').digest('hex')}`;
}
