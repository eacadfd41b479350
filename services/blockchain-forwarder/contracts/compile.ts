import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

/**
 * Compiles UsageLedger.sol into UsageLedger.json, which is checked in: whoever deploys or calls the contract needs no
 * compiler, and test/usage-ledger-contract.test.ts compares the two. Run
 * `npm run build && node dist/services/blockchain-forwarder/contracts/compile.js` from the root of the repository.
 */

const directory = path.join('services', 'blockchain-forwarder', 'contracts');
export const sourceFile = path.join(directory, 'UsageLedger.sol');
export const artifactFile = path.join(directory, 'UsageLedger.json');

const output = z.object({
  errors: z.array(z.object({ severity: z.string(), formattedMessage: z.string() })).optional(),
  contracts: z
    .object({
      'UsageLedger.sol': z.object({
        UsageLedger: z.object({
          abi: z.array(z.record(z.string(), z.unknown())),
          evm: z.object({ bytecode: z.object({ object: z.string().regex(/^[0-9a-f]+$/) }) }),
        }),
      }),
    })
    .optional(),
});

export interface ContractArtifact {
  solc: string;
  abi: Record<string, unknown>[];
  /** Creation code, 0x-prefixed. */
  bytecode: string;
}

/** solc-js, as far as it is used here. */
export interface Solc {
  version(): string;
  compile(standardJsonInput: string): string;
}

/** @throws when the source does not compile without a warning, with what the compiler says */
export function compileUsageLedger(solc: Solc, source: string): ContractArtifact {
  const input = {
    language: 'Solidity',
    sources: { 'UsageLedger.sol': { content: source } },
    settings: {
      evmVersion: 'shanghai',
      optimizer: { enabled: true, runs: 10_000 },
      // without the metadata hash the code depends on the source's meaning only, not on its comments
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      outputSelection: { '*': { UsageLedger: ['abi', 'evm.bytecode.object'] } },
    },
  };
  const { errors = [], contracts } = output.parse(JSON.parse(solc.compile(JSON.stringify(input))));
  if (errors.length > 0 || !contracts) throw new Error(errors.map((error) => error.formattedMessage).join('\n'));
  const { abi, evm } = contracts['UsageLedger.sol'].UsageLedger;
  return { solc: solc.version(), abi, bytecode: `0x${evm.bytecode.object}` };
}

async function main(): Promise<void> {
  const { default: solc } = await import('solc');
  const artifact = compileUsageLedger(solc, readFileSync(sourceFile, 'utf8'));
  writeFileSync(artifactFile, `${JSON.stringify(artifact, null, 2)}\n`);
}

if (require.main === module) void main();
