import { hash } from 'node:crypto';
import { canonicalText } from './canonical-json';

/**
 * SHA-256 of the value's canonical JSON.
 * @returns `0x` and 64 hexadecimal digits, as the contract's `bytes32` is written
 * @throws as canonicalText
 */
export async function canonicalHash(value: object): Promise<string> {
  return hashOfText(await canonicalText(value));
}

/** @param text canonical JSON */
export function hashOfText(text: string): string {
  return `0x${hash('sha256', text, 'hex')}`;
}
