import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

/**
 * Compiles each contract of this directory into the JSON file of its name, which is checked in: whoever deploys or calls
 * a contract needs no compiler, and test/contract-artifacts.proof.test.ts compares the two. Run
 * `npm run build && node dist/services/blockchain-forwarder/contracts/compile.js` from the root of the repository.
 */

export const contractNames = ['LedgerAnchor'] as const;
export type ContractName = (typeof contractNames)[number];

const directory = path.join('services', 'blockchain-forwarder', 'contracts');
export const sourceFile = (name: ContractName): string => path.join(directory, `${name}.sol`);
export const artifactFile = (name: ContractName): string => path.join(directory, `${name}.json`);

const code = z.object({ object: z.string().regex(/^[0-9a-f]+$/) });
const compiled = z.object({
  abi: z.array(z.record(z.string(), z.unknown())),
  evm: z.object({
    bytecode: code,
    deployedBytecode: code.extend({ immutableReferences: z.record(z.string(), z.unknown()) }),
  }),
});
const output = z.object({
  errors: z.array(z.object({ severity: z.string(), formattedMessage: z.string() })).optional(),
  contracts: z.record(z.string(), z.record(z.string(), compiled)).optional(),
});

export interface ContractArtifact {
  solc: string;
  abi: Record<string, unknown>[];
  /** Creation code, 0x-prefixed. */
  bytecode: string;
  /** What eth_getCode answers once it is deployed. Not there for a contract with immutables, which differs each time. */
  deployedBytecode?: string;
}

/** solc-js, as far as it is used here. */
export interface Solc {
  version(): string;
  compile(standardJsonInput: string): string;
}

/** @throws when the source does not compile without a warning, with what the compiler says */
export function compileContract(solc: Solc, name: ContractName, source: string): ContractArtifact {
  const file = `${name}.sol`;
  const input = {
    language: 'Solidity',
    sources: { [file]: { content: source } },
    settings: {
      evmVersion: 'shanghai',
      optimizer: { enabled: true, runs: 10_000 },
      // without the metadata hash the code depends on the source's meaning only, not on its comments
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      outputSelection: {
        '*': {
          [name]: [
            'abi',
            'evm.bytecode.object',
            'evm.deployedBytecode.object',
            'evm.deployedBytecode.immutableReferences',
          ],
        },
      },
    },
  };
  const { errors = [], contracts } = output.parse(JSON.parse(solc.compile(JSON.stringify(input))));
  const contract = contracts?.[file]?.[name];
  if (errors.length > 0 || !contract) throw new Error(errors.map((error) => error.formattedMessage).join('\n'));
  const { bytecode, deployedBytecode } = contract.evm;
  return {
    solc: solc.version(),
    abi: contract.abi,
    bytecode: `0x${bytecode.object}`,
    ...(Object.keys(deployedBytecode.immutableReferences).length === 0 && {
      deployedBytecode: `0x${deployedBytecode.object}`,
    }),
  };
}

async function main(): Promise<void> {
  const { default: solc } = await import('solc');
  for (const name of contractNames) {
    const artifact = compileContract(solc, name, readFileSync(sourceFile(name), 'utf8'));
    writeFileSync(artifactFile(name), `${JSON.stringify(artifact, null, 2)}\n`);
  }
}

if (require.main === module) void main();
