import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createPublicClient, createTestClient, http, type Address, type Hex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { anvil } from 'viem/chains';

/** Anvil's own well-known development accounts: they hold nothing anywhere else. */
export const OWNER_KEY: Hex = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
export const RECORDER_KEY: Hex = '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d';
export const STRANGER_KEY: Hex = '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a';

export interface TestChain {
  rpcUrl: string;
  chainId: number;
  transactionCount(key: Hex): Promise<number>;
  /** With false, transactions wait in the pool until `mine`. */
  automine(on: boolean): Promise<void>;
  mine(): Promise<void>;
  stop(): Promise<void>;
}

export function accountOf(key: Hex): Address {
  return privateKeyToAccount(key).address;
}

function binary(): string {
  const name = `anvil-${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  return path.join(path.dirname(require.resolve(`@foundry-rs/${name}/package.json`)), 'bin', 'anvil');
}

/** A real development chain of its own on a free port. */
export async function startAnvil(...flags: string[]): Promise<TestChain> {
  const child = spawn(binary(), ['--host', '127.0.0.1', '--port', '0', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const rpcUrl = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.once('exit', (code) => reject(new Error(`anvil ended with ${code}: ${text}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const address = /Listening on (\S+)/.exec(text)?.[1];
      if (address) resolve(`http://${address}`);
    });
  });
  const transport = http(rpcUrl);
  const reader = createPublicClient({ chain: anvil, transport, pollingInterval: 20 });
  const tester = createTestClient({ chain: anvil, mode: 'anvil', transport });
  return {
    rpcUrl,
    chainId: anvil.id,
    transactionCount: (key) => reader.getTransactionCount({ address: accountOf(key) }),
    automine: (on) => tester.setAutomine(on),
    mine: () => tester.mine({ blocks: 1 }),
    stop: async () => {
      if (child.exitCode !== null) return;
      child.kill();
      await once(child, 'exit');
    },
  };
}
