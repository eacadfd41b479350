// `node tools/run.mjs COMMAND …`: what every npm script starts. Plain JavaScript without dependencies, because in a fresh
// clone nothing else works yet: it installs the npm packages where they are missing or stale, compiles, and hands over to
// dist/tools/COMMAND.js in this same process (one process, so that signals have one receiver).
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

const [command = '', ...rest] = process.argv.slice(2);
const COMMANDS = [
  'start',
  'clean',
  'token',
  'audit',
  'configuration',
  'audit:ledger',
  'test',
  'bench',
  'licences',
  'mutate',
];
if (!COMMANDS.includes(command)) stop(`Unknown command "${command}": one of ${COMMANDS.join(', ')}.`);

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  stop(`Node ${process.versions.node} is too old: install Node 20.19 or newer (see .nvmrc).`);
}

installPackages();
compile();
process.argv.splice(2, process.argv.length, ...rest);
const PROGRAMS = {
  'audit:ledger': 'tools/audit-ledger.js',
  bench: 'test/bench/bench.js',
};
const program = PROGRAMS[command] ?? `tools/${command}.js`;
createRequire(import.meta.url)(path.join(root, 'dist', program));

/** node_modules is stale when package-lock.json is not the one that it was installed from. */
function installPackages() {
  const stamp = path.join(root, 'node_modules', '.resource-manager-lock');
  const lock = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
  const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
  if (installed === lock) return;
  if (existsSync('node_modules/.package-lock.json') && !missesPackages()) {
    // somebody ran `npm install` by hand
    writeFileSync(stamp, lock);
    return;
  }
  // not `npm ci`: it refuses a lock file without the packages of other platforms, which not every registry has
  timed('npm packages: installing (about a minute)', 'npm', [
    'install',
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  writeFileSync(stamp, lock);
}

/** Whether a package of package-lock.json is not in node_modules in its version; what is optional may be absent. */
function missesPackages() {
  const wanted = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;
  const present = JSON.parse(readFileSync('node_modules/.package-lock.json', 'utf8')).packages;
  return Object.entries(wanted).some(
    ([name, { version, optional }]) => name !== '' && !optional && present[name]?.version !== version,
  );
}

/** Only when a source has changed since: even an incremental tsc takes seconds to find out that nothing has. */
function compile() {
  const stamp = path.join('dist', '.sources');
  const sources = [
    'services',
    'shared',
    'tools',
    'test/bench',
    'tsconfig.json',
    'tsconfig.build.json',
    'package-lock.json',
  ].flatMap(stateOf);
  const state = createHash('sha256').update(sources.join('\n')).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === state) return;
  timed('TypeScript: compiling', 'npm', ['run', '--silent', 'build']);
  writeFileSync(stamp, state);
}

/** Name, size and time of every TypeScript and configuration file at or below a path. */
function stateOf(at) {
  const { size, mtimeMs } = statSync(at);
  if (!statSync(at).isDirectory()) return /\.(ts|json)$/.test(at) ? [`${at} ${size} ${mtimeMs}`] : [];
  return readdirSync(at)
    .sort()
    .flatMap((name) => stateOf(path.join(at, name)));
}

function timed(what, file, args) {
  const started = Date.now();
  console.error(`${what} …`);
  run(file, args, `${what}: failed (see above).`);
  console.error(`${what}: done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

function run(file, args, otherwise) {
  // all on stderr: the output of `npm run token` is the token
  const { status, signal } = spawnSync(file, args, { stdio: ['inherit', 2, 2] });
  if (signal) process.exit(130);
  if (status !== 0) stop(otherwise);
}

function stop(sentence) {
  console.error(sentence);
  process.exit(1);
}
