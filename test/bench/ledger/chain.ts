import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/** A chain with a block a second, as public ones have blocks; the start tool's own makes one for each transaction. */
export interface Chain {
  pid: number;
  /** Settings for the start tool. */
  env: NodeJS.ProcessEnv;
  call(method: string, params: unknown[]): Promise<unknown>;
  stop(): Promise<void>;
}

// the first account of every anvil: published, worth nothing, no secret
const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

export async function startChain(): Promise<Chain> {
  const name = `anvil-${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const binary = path.join(path.dirname(require.resolve(`@foundry-rs/${name}/package.json`)), 'bin', 'anvil');
  const child = spawn(binary, ['--host', '127.0.0.1', '--port', '0', '--block-time', '1'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.once('exit', (code) => reject(new Error(`anvil ended with ${code}: ${text}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      if (text.includes('Listening')) return; // it has a line for each request: read, and let go
      text += chunk.toString();
      const address = /Listening on (\S+)/.exec(text)?.[1];
      if (address) resolve(`http://${address}`);
    });
  });
  return {
    pid: child.pid!,
    env: { EVM_RPC_URL: url, EVM_PRIVATE_KEY: KEY, EVM_CONFIRMATIONS: '2' },
    call: async (method, params) => {
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
      const { result } = (await (await fetch(url, { method: 'POST', headers, body })).json()) as { result: unknown };
      return result;
    },
    stop: async () => {
      if (child.exitCode !== null) return;
      child.kill();
      await once(child, 'exit');
    },
  };
}
