// npm run audit:ledger: recomputes the usage ledger from its records and salts, compares it with the chain (and the file),
// and balances it with the tasks and allocations that it is of. A line a fault, tables, one sentence; 0 clean, 1 faults,
// 2 something could not be checked. Reads what DATABASE_URL, NATS_URL, EVM_RPC_URL, EVM_CONTRACT and LEDGER_FILE name, or
// the running instance.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isAddress } from 'viem';
import { Client } from 'pg';
import { z } from 'zod';
import { devInfoFile, devInfoSchema, type DevInfo } from './dev-info';
import { explain, Failure } from './failure';
import { currentInstance, root } from './instance';
import { auditDatabase, type AuditOptions } from './ledger-audit/audit';
import type { ChainOptions } from './ledger-audit/chain';
import { linesOf, reportOf } from './ledger-audit/report';

const USAGE = `npm run audit:ledger -- [--json] [--since TIME] [--max-age SECONDS] [--from-block NUMBER]`;
const CODE_FILE = 'services/blockchain-forwarder/contracts/LedgerAnchor.json';
const DEFAULT_MAX_AGE_SECONDS = '3600';
const PROGRESS_EVERY_MS = 2_000;

const options = z.object({
  json: z.boolean().default(false),
  since: z.union([z.iso.datetime({ offset: true }), z.iso.date()]).optional(),
  'max-age': z.coerce.number().int().min(0),
  'from-block': z.coerce.bigint().min(0n),
});

function readOptions(): z.output<typeof options> {
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({
      options: {
        json: { type: 'boolean' },
        since: text,
        'max-age': { ...text, default: DEFAULT_MAX_AGE_SECONDS },
        'from-block': { ...text, default: '0' },
      },
    });
    return options.parse(values);
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : explainShort(error);
    throw new Failure(`${reason}\n${USAGE}`);
  }
}

/** Where everything is: by the environment, or all of it by the running instance. */
function whereItIs(): { databaseUrl: string; natsUrl?: string; evm?: { rpcUrl: string; contract: string } } {
  const { DATABASE_URL, NATS_URL, EVM_RPC_URL, EVM_CONTRACT } = process.env;
  const given = {
    ...(NATS_URL ? { natsUrl: NATS_URL } : {}),
    ...(EVM_RPC_URL && EVM_CONTRACT ? { evm: { rpcUrl: EVM_RPC_URL, contract: EVM_CONTRACT } } : {}),
  };
  if (EVM_RPC_URL && !EVM_CONTRACT) throw new Failure('EVM_RPC_URL is set: EVM_CONTRACT is needed too.');
  if (DATABASE_URL) return { databaseUrl: DATABASE_URL, ...given };
  const { databaseUrl, natsUrl, evm } = runningInstance();
  return { databaseUrl, natsUrl, ...(evm ? { evm } : {}), ...given };
}

function runningInstance(): DevInfo {
  const file = devInfoFile(currentInstance());
  if (!fs.existsSync(file)) {
    throw new Failure('There is nothing to audit: run `npm start` first, or set DATABASE_URL.');
  }
  return devInfoSchema.parse(JSON.parse(fs.readFileSync(file, 'utf8')));
}

function chainOptions(evm: { rpcUrl: string; contract: string } | undefined, fromBlock: bigint): ChainOptions | null {
  if (!evm) return null;
  if (!isAddress(evm.contract)) throw new Failure(`EVM_CONTRACT "${evm.contract}" is no address.`);
  const artifact = z.object({ deployedBytecode: z.string() });
  const { deployedBytecode } = artifact.parse(JSON.parse(fs.readFileSync(path.join(root, CODE_FILE), 'utf8')));
  return { ...evm, code: deployedBytecode, fromBlock };
}

/** On stderr, so that what is printed on stdout is the report alone. */
function progress(): (text: string) => void {
  let last = Date.now();
  return (text) => {
    if (Date.now() - last < PROGRESS_EVERY_MS) return;
    last = Date.now();
    console.error(`… ${text}`);
  };
}

async function audit(): Promise<number> {
  const { json, since, 'max-age': maxAge, 'from-block': fromBlock } = readOptions();
  const where = whereItIs();
  const chain = chainOptions(where.evm, fromBlock);
  const file = process.env.LEDGER_FILE;
  const wanted: AuditOptions = {
    now: new Date(),
    maxAgeMs: maxAge * 1000,
    progress: progress(),
    ...(since === undefined ? {} : { since }),
    ...(chain ? { chain } : {}),
    ...(file ? { file } : {}),
    ...(where.natsUrl === undefined ? {} : { natsUrl: where.natsUrl }),
  };
  const client = new Client({ connectionString: where.databaseUrl, connectionTimeoutMillis: 10_000 });
  // the query that is under way says so too
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw new Failure(`The database does not answer: ${explainShort(error)}`);
  }
  try {
    const { rows } = await client.query<{ there: boolean }>(`SELECT to_regclass('state') IS NOT NULL AS there`);
    if (!rows[0]?.there)
      throw new Failure('The services have written nothing into this database yet: start them first.');
    const found = await auditDatabase(client, wanted);
    if (json) console.log(JSON.stringify(reportOf(found), null, 2));
    else for (const line of linesOf(found, { chain: chain !== null, file: Boolean(file) })) console.log(line);
    return found.findings.exitCode;
  } finally {
    await client.end();
  }
}

function explainShort(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
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
