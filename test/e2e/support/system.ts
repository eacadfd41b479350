import fs from 'node:fs';
import path from 'node:path';
import type { DevInfo } from '../../../tools/dev-info';
import { pidDir, runningPid, signal } from '../../../tools/processes';
import { until } from '../../../tools/progress';
import { instanceSecrets } from '../../../tools/secrets';
import { mintToken } from '../../../tools/tokens';
import { e2eInstance } from './e2e-instance';
import { readDevInfo } from './start-tool';

/** The running e2e instance, as its dev.json tells of it. */
export function system(): DevInfo {
  return readDevInfo(e2eInstance());
}

/** A token of the system's own secret, for anybody in any role. */
export function tokenFor(sub: string, ...roles: string[]): string {
  return mintToken(instanceSecrets(e2eInstance(), {}), sub, roles, 3600);
}

export interface Answer {
  status: number;
  headers: Headers;
  /** parsed JSON, or the text where it is none */
  body: unknown;
}

/** One request. `to` is a full URL or `<app-id>/path`; a body is sent as JSON. */
export async function call(
  method: string,
  to: string,
  options: { token?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const [appId = '', ...rest] = to.split('/');
  const url = to.startsWith('http')
    ? to
    : `${system().services[appId]?.url ?? `http://no-service-${appId}`}/${rest.join('/')}`;
  const response = await fetch(url, {
    method,
    headers: {
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: parseJson(text) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // a page, or nothing
  }
}

const holds = new Set<string>();
// what a failed test did not release would fail the files after it as well
afterAll(() => {
  for (const hold of holds) fs.rmSync(hold, { force: true });
});

/**
 * kill -9 of one part of the system: `allocation`, `daprd-allocation`, `postgres`, `nats`, `chain`, … It is started again
 * at once; not before `release()` when `hold` is set.
 */
export function kill(name: string, options: { hold?: boolean } = {}): { release: () => void } {
  const instance = e2eInstance();
  const hold = path.join(instance.runDir, 'hold', name);
  if (options.hold) {
    fs.mkdirSync(path.dirname(hold), { recursive: true });
    fs.writeFileSync(hold, '');
    holds.add(hold);
  }
  const pid = runningPid(instance, name);
  if (pid === undefined) throw new Error(`${name} does not run; known: ${fs.readdirSync(pidDir(instance)).join(', ')}`);
  signal(pid, 'SIGKILL');
  return { release: () => fs.rmSync(hold, { force: true }) };
}

/** Waits for a condition. @throws naming it when it does not come true in time */
export async function eventually(
  what: string,
  check: () => Promise<boolean> | boolean,
  timeoutMs = 20_000,
): Promise<void> {
  if (!(await until(check, timeoutMs, 200))) throw new Error(`Not within ${timeoutMs / 1000} s: ${what}`);
}

/** Whether every service says that it is ready. */
export async function allReady(): Promise<boolean> {
  const answers = await Promise.all(
    Object.values({ ...system().services, ...system().replicas }).map(({ url }) =>
      fetch(`${url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    ),
  );
  return answers.every(Boolean);
}
