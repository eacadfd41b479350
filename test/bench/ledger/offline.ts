import { createHash, randomBytes } from 'node:crypto';
import { checkReceipt } from '../../../services/blockchain-forwarder/domain/check-receipt';
import type { Ed25519Jwk } from '../../../services/blockchain-forwarder/domain/check-signature';
import { merkleTree, rootOf } from '../../../services/blockchain-forwarder/domain/merkle';
import { parseReceipt } from '../../../services/blockchain-forwarder/domain/receipt';
import { times, type Measurement } from '../measure';

const LEAVES = 100_000;

/** Seconds for the tree over so many leaves, the slowest of some: the first one is not compiled yet. */
export function slowestTree(rounds: number): number {
  const leaves = Array.from({ length: LEAVES }, () => createHash('sha256').update(randomBytes(16)).digest());
  const seconds = Array.from({ length: rounds }, () => {
    const began = performance.now();
    rootOf(merkleTree(leaves));
    return (performance.now() - began) / 1000;
  });
  return Math.max(...seconds);
}

/** From the receipt's text to the verdict, signature and path, as the verifier does it without a chain. */
export function verifications(text: string, keys: readonly Ed25519Jwk[], rounds: number): Promise<Measurement> {
  return times(rounds, async () => {
    const began = performance.now();
    const checks = await checkReceipt(parseReceipt(text), keys);
    const ms = performance.now() - began;
    const fault = checks.find(({ result }) => result !== 'holds');
    if (fault) throw new Error(`${fault.what}: ${fault.reason}`);
    return ms;
  });
}
