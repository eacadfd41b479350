// npm run audit: compares every inventory with the sum of its allocations and with its pool. Prints each difference and ends
// with 1; prints one line and ends with 0 when there is none. Reads the database of DATABASE_URL, or of the running instance.
import fs from 'node:fs';
import { Client } from 'pg';
import { readBooks } from './books';
import { devInfoFile, devInfoSchema } from './dev-info';
import { explain, Failure } from './failure';
import { currentInstance } from './instance';

/** A change of a pool that takes longer is stuck: what a crash leaves is carried on after 15 s, at a look every 10 s. */
const PENDING_SECONDS = 60;

function databaseUrl(): string {
  if (process.env.DATABASE_URL) return process.env.DATABASE_URL;
  const file = devInfoFile(currentInstance());
  if (!fs.existsSync(file)) {
    throw new Failure('There is nothing to audit: run `npm start` first, or set DATABASE_URL.');
  }
  return devInfoSchema.parse(JSON.parse(fs.readFileSync(file, 'utf8'))).databaseUrl;
}

async function audit(): Promise<number> {
  const client = new Client({ connectionString: databaseUrl(), connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
  } catch (error) {
    throw new Failure(`The database does not answer: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    const { rows } = await client.query<{ there: boolean }>(`SELECT to_regclass('inventories') IS NOT NULL AS there`);
    if (!rows[0]?.there)
      throw new Failure('The services have not made their views in this database yet: start them first.');
    const books = await readBooks(client, PENDING_SECONDS);
    const seen = `${books.pools} pools, ${books.allocations} allocations, ${books.allocated} of ${books.capacity} units allocated`;
    for (const difference of books.differences) console.log(difference);
    console.log(
      books.differences.length === 0 ? `clean: ${seen}` : `${books.differences.length} differences in ${seen}`,
    );
    return books.differences.length === 0 ? 0 : 1;
  } finally {
    await client.end();
  }
}

audit().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(explain(error));
    process.exitCode = 2; // neither clean nor not: it was not looked at
  },
);
