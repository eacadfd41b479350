import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** What the layout promises and no import rule can hold: the same question has its answer at the same place. */

const SERVICES = readdirSync('services');
const ROOMS = [
  'main.ts',
  'config.ts',
  'README.md',
  'http/routes.ts',
  'application',
  'domain',
  'ports',
  'adapters',
  'test',
];
const MAX_LINES = 300;
/** Longer ones, each with its reason; this list can only shrink. */
const LONGER: Record<string, string> = {};

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ['node_modules', 'dist'].includes(entry.name) ? [] : filesBelow(path);
    return [path];
  });
}

const sources = ['services', 'shared', 'tools', 'test']
  .flatMap(filesBelow)
  .filter((file) => /\.(ts|mjs|cjs)$/.test(file));

test.each(SERVICES)('%s has every room', (service) => {
  expect(ROOMS.filter((room) => !existsSync(join('services', service, room)))).toEqual([]);
});

test('dapr.yaml runs exactly the services that there are, each on ports of its own', () => {
  const { apps } = parse(readFileSync('dapr.yaml', 'utf8')) as { apps: (Record<string, number> & { appID: string })[] };
  expect(apps.map(({ appID }) => appID).sort()).toEqual([...SERVICES].sort());
  const ports = apps.flatMap((app) =>
    Object.entries(app).flatMap(([name, value]) => (/port$/i.test(name) ? [value] : [])),
  );
  expect(ports).toHaveLength(SERVICES.length * 5);
  expect(new Set(ports).size).toBe(ports.length);
});

test('no room says nothing about what is in it', () => {
  const nondescript = /(^|\/)(utils?|helpers?|common|misc|lib)(\/|\.[cm]?[jt]s$)/;
  expect(sources.filter((file) => nondescript.test(file))).toEqual([]);
});

test(`no file is longer than ${MAX_LINES} lines`, () => {
  const long = sources.filter((file) => readFileSync(file, 'utf8').split('\n').length > MAX_LINES + 1);
  expect(long).toEqual(Object.keys(LONGER));
});

test('nothing is left undone or switched off in silence', () => {
  const marks = new RegExp(
    ['TO' + 'DO', 'FIX' + 'ME', '@ts-' + 'ignore', '@ts-' + 'nocheck', '\\b(it|test|describe)\\.(only|skip)\\b'].join(
      '|',
    ),
  );
  expect(sources.filter((file) => marks.test(readFileSync(file, 'utf8')))).toEqual([]);
});

test('a test with a chain, a compiler or processes of its own is a proof, and named so', () => {
  const real = /from '(node:child_process|.*\/(anvil|anchor-run))'|import\('(solc|esbuild)'\)/;
  const units = sources.filter((file) => /(?<!\.proof)\.test\.ts$/.test(file) && !file.startsWith('test/e2e/'));
  expect(units.length).toBeGreaterThan(100);
  expect(units.filter((file) => real.test(readFileSync(file, 'utf8')))).toEqual([]);
});

test('only main.ts makes adapters, beside adapters themselves and tests', () => {
  const makes = /new (Dapr|Docker|Evm|Http|Memory)[A-Z]\w+\(/;
  const elsewhere = sources.filter(
    (file) => file.startsWith('services/') && !/\/(main\.ts|adapters\/.*|test\/.*)$/.test(file),
  );
  expect(elsewhere.filter((file) => makes.test(readFileSync(file, 'utf8')))).toEqual([]);
});
