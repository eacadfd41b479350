import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { until } from '../../../tools/progress';

/** A service process beside the running system, with an environment of the test's and without a sidecar. */
export interface LoneService {
  url: string;
  output: () => string;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** @throws with what it printed when it does not listen within 60 s, or ends before */
export async function startAlone(appId: string, env: Record<string, string>): Promise<LoneService> {
  const port = await freePort();
  const child = spawn(process.execPath, [`dist/services/${appId}/main.js`], {
    // nothing of the test's own environment but what a process needs; nobody listens on port 9
    env: { NODE_ENV: 'test', PATH: process.env['PATH'], APP_PORT: String(port), DAPR_HTTP_PORT: '9', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  let isOver = false;
  const ended = new Promise<void>((resolve) =>
    child.on('close', () => {
      isOver = true;
      resolve();
    }),
  );
  const url = `http://127.0.0.1:${port}`;
  const listens = () =>
    fetch(`${url}/livez`).then(
      ({ ok }) => ok,
      () => false,
    );
  if (!(await until(async () => isOver || (await listens()), 60_000)) || isOver) {
    child.kill('SIGKILL');
    throw new Error(`${appId} does not listen${isOver ? ` and ended with ${child.exitCode}` : ''}:\n${printed}`);
  }
  return {
    url,
    output: () => printed,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
