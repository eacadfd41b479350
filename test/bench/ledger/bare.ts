import { hash, randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { canonicalText } from '../../../services/blockchain-forwarder/domain/canonical-json';
import { usageRecordOf, type EndOfUse } from '../../../services/blockchain-forwarder/domain/usage-record';
import { releasedTimes } from './events';

const ROWS = 500;
const TUPLES = Array.from({ length: ROWS }, (_, row) => `($${row * 3 + 1}, $${row * 3 + 2}, $${row * 3 + 3})`);

/** The least that has to be done: canonical JSON, its hash with a salt, and a row of a plain table, many a statement. */
export class BareWork {
  private constructor(private readonly client: Client) {}

  static async open(databaseUrl: string): Promise<BareWork> {
    const client = new Client({ connectionString: databaseUrl });
    await client.connect();
    await client.query(
      `CREATE SCHEMA bench; CREATE TABLE bench.usage (id uuid PRIMARY KEY, leaf bytea NOT NULL, record jsonb NOT NULL);`,
    );
    return new BareWork(client);
  }

  /** By one process, one statement after the other. @returns seconds, without those that the events' making took */
  async run(events: number): Promise<number> {
    let ms = 0;
    for (let done = 0; done < events; done += ROWS) {
      const bundle = releasedTimes(ROWS) as EndOfUse[];
      const began = performance.now();
      const values: unknown[] = [];
      for (const event of bundle) {
        const text = await canonicalText(usageRecordOf(event)!);
        const leaf = hash('sha256', Buffer.concat([Buffer.of(0), randomBytes(16), Buffer.from(text)]), 'buffer');
        values.push(event.id, leaf, text);
      }
      await this.client.query({ name: 'insert', text: `INSERT INTO bench.usage VALUES ${TUPLES.join(',')}`, values });
      ms += performance.now() - began;
    }
    return ms / 1000;
  }

  close = (): Promise<void> => this.client.end();
}
