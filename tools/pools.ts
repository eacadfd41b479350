import os from 'node:os';
import { z } from 'zod';
import { Failure } from './failure';

const poolListSchema = z.array(z.looseObject({ id: z.string(), name: z.string() }));

/**
 * The pools that the shipped service types take from, sized after this machine; milli-CPU, as Kubernetes counts.
 * Called through the public API, like anybody else.
 */
function localPools(): { name: string; resource_type: string; total_capacity: number; location: string }[] {
  return [{ name: 'local-cpu', resource_type: 'CPU', total_capacity: os.cpus().length * 1000, location: 'local' }];
}

/** Creates those that are not there yet; what a person has changed since stays. */
export async function ensureLocalPools(resourcePoolUrl: string, adminToken: string): Promise<void> {
  const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' };
  for (const pool of localPools()) {
    const list = await fetch(`${resourcePoolUrl}/resource_pools?name=${pool.name}&limit=1000`, { headers });
    await demand(list, `list pools`);
    if (poolListSchema.parse(await list.json()).some(({ name }) => name === pool.name)) continue;
    const created = await fetch(`${resourcePoolUrl}/resource_pools`, {
      method: 'POST',
      headers,
      body: JSON.stringify(pool),
    });
    await demand(created, `create the pool ${pool.name}`);
  }
}

async function demand(response: Response, what: string): Promise<void> {
  if (!response.ok) throw new Failure(`Could not ${what}: ${response.status} ${(await response.text()).slice(0, 500)}`);
}
