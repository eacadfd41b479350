import { Client } from 'pg';
import { system } from './system';

/** Looks into the system's database beside Dapr: for tests that must know what is, or is not, written. */
export async function sql<T extends Record<string, unknown>>(text: string, params: unknown[] = []): Promise<T[]> {
  const client = new Client({ connectionString: system().databaseUrl });
  await client.connect();
  try {
    return (await client.query<T>(text, params)).rows;
  } finally {
    await client.end();
  }
}
