import { readFileSync } from 'node:fs';
import { artifactFile, type ContractArtifact, type ContractName } from '../../contracts/compile';

export function artifactOf(name: ContractName): ContractArtifact {
  return JSON.parse(readFileSync(artifactFile(name), 'utf8')) as ContractArtifact;
}

/**
 * Without what differs although the calls are the same: order of keys, unnamed results, Solidity's own type names,
 * a false that is left out.
 */
export function canonicalShape(item: unknown): string {
  return JSON.stringify(item, (key, value: unknown) => {
    if (key === 'internalType' || key === 'anonymous' || (key === 'name' && value === '')) return undefined;
    if (key === 'indexed' && value === false) return undefined;
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a.localeCompare(b)));
  });
}
