import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { readBooks } from '../../../tools/books';
import { call, system, type Answer } from './system';

export type Role = 'admin' | 'owner' | 'service' | 'user';

export const SERVICE = randomUUID();

/** A call as a role, to the service itself (`resource-pool/resource_pools`) or to a full URL. */
export function as(
  role: Role,
  method: string,
  to: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return call(method, to, { token: system().tokens[role], headers, ...(body === undefined ? {} : { body }) });
}

/** The same as another platform service does it: invoked through the sidecar beside it. */
export function invoke(
  role: Role,
  method: string,
  to: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const { services, daprApiToken } = system();
  const [appId, ...path] = to.split('/');
  const url = `${services['blockchain-forwarder']!.daprHttpUrl}/v1.0/invoke/${appId}/method/${path.join('/')}`;
  return as(role, method, url, body, { ...headers, 'dapr-api-token': daprApiToken });
}

export function poolInput(overrides: Record<string, unknown> = {}) {
  return { name: 'e2e', resource_type: 'GPU', total_capacity: 100, location: 'e2e', ...overrides };
}

export async function createPool(total = 100): Promise<string> {
  const answer = await as('owner', 'POST', 'resource-pool/resource_pools', poolInput({ total_capacity: total }));
  if (answer.status !== 201) throw new Error(`no pool: ${answer.status} ${JSON.stringify(answer.body)}`);
  return idOf(answer);
}

export function idOf({ body }: Answer): string {
  return (body as { id: string }).id;
}

export function codeOf({ status, body }: Answer): string {
  return status < 400 ? String(status) : `${status} ${(body as { code?: string }).code}`;
}

/** How often each answer came: `{ '201': 100, '409 allocation.insufficient_capacity': 100 }`. */
export function tally(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[codeOf(answer)] = (counts[codeOf(answer)] ?? 0) + 1;
  return counts;
}

/** Both replicas of `allocation`. */
export function replicas(): string[] {
  const { services, replicas: more } = system();
  return [services['allocation']!.url, more['allocation-2']!.url];
}

/** What must never be, told in sentences (tools/books.ts); a change that is still under way is one of them. */
export async function faultsInTheBooks(): Promise<string[]> {
  const client = new Client({ connectionString: system().databaseUrl });
  await client.connect();
  try {
    return (await readBooks(client, 0)).differences;
  } finally {
    await client.end();
  }
}
