import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { baseConfig } from '../../shared/process/config';

/**
 * One list of environment variables a service: its config.ts, and in the forwarder each sink's own, told in its README;
 * those of all services in shared/README.md.
 */

const NAME = /^\| `([A-Z][A-Z0-9_]+)` +\|/gm;
const told = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(NAME)].map((match) => match[1]!).sort();

const DECLARED = /^ {2}([A-Z][A-Z0-9_]+):/gm;
const sinks = join('adapters', 'sinks');

test.each(readdirSync('services'))('%s: config.ts and README name the same variables of its own', (service) => {
  const folder = join('services', service);
  const inSinks = existsSync(join(folder, sinks))
    ? readdirSync(join(folder, sinks)).filter((file) => file.endsWith('.ts'))
    : [];
  const sources = ['config.ts', ...inSinks.map((file) => join(sinks, file))];
  const declared = sources.flatMap((file) => [...readFileSync(join(folder, file), 'utf8').matchAll(DECLARED)]);
  const own = [...new Set(declared.map((match) => match[1]!))].sort();
  expect(told(join('services', service, 'README.md'))).toEqual(own);
});

test('shared/README.md names those that every service reads', () => {
  expect(told('shared/README.md')).toEqual(Object.keys(baseConfig).sort());
});

test('only configuration reads the environment', () => {
  const files = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? files(path) : path.endsWith('.ts') ? [path] : [];
    });
  const readers = ['services', 'shared']
    .flatMap(files)
    .filter((file) => !/\/(test|testing)\//.test(file) && readFileSync(file, 'utf8').includes('process.env'));
  expect(readers).toEqual(['shared/process/service.ts']);
});
