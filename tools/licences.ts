import fs from 'node:fs';
import path from 'node:path';
import { root } from './instance';

/** `npm run licences`: writes the licences of what runs in production, as package-lock.json names them, to docs/licences.md. */

/** What may be used without giving our own source away. */
const PERMISSIVE = [
  ...['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0', 'Unlicense', 'CC0-1.0'],
];
/** Their package.json says it in a form that npm no longer copies into the lock file; read in their LICENSE files. */
const READ_BY_HAND: Record<string, string> = { buildcheck: 'MIT', 'cpu-features': 'MIT', limiter: 'MIT', ssh2: 'MIT' };

interface Locked {
  version: string;
  license?: string;
  dev?: boolean;
}

export interface Licensed {
  name: string;
  version: string;
  licence: string;
}

/** Production dependencies, all that they need included. */
export function productionLicences(lock: { packages: Record<string, Locked> }): Licensed[] {
  return Object.entries(lock.packages)
    .filter(([place, { dev }]) => place !== '' && dev !== true)
    .map(([place, { version, license }]) => {
      const name = place.replace(/^.*node_modules\//, '');
      return { name, version, licence: license ?? READ_BY_HAND[name] ?? 'unknown' };
    })
    .sort((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1));
}

/** Whether an SPDX expression lets us use it so: all of what AND joins, one of what OR joins. */
export function isPermissive(expression: string): boolean {
  const bare = expression.replace(/^\((.*)\)$/, '$1');
  if (bare.includes('(')) return false;
  return bare
    .split(' OR ')
    .some((each) =>
      each.split(' AND ').every((one) => PERMISSIVE.some((known) => known.toLowerCase() === one.toLowerCase())),
    );
}

export function licencesPage(all: readonly Licensed[]): string {
  const kinds = [...new Set(all.map(({ licence }) => licence))].sort();
  const sections = kinds.map((kind) => {
    const names = new Set(
      all.filter(({ licence }) => licence === kind).map(({ name, version }) => `${name} ${version}`),
    );
    return `## ${kind}\n\n${[...names].map((name) => `- ${name}`).join('\n')}\n`;
  });
  return `# Licences of what runs in production\n\nWritten by \`npm run licences\` from package-lock.json. None is copyleft; a test holds that.\n\n${sections.join('\n')}`;
}

function writeLicences(): void {
  const lock = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as Parameters<
    typeof productionLicences
  >[0];
  fs.writeFileSync(path.join(root, 'docs', 'licences.md'), licencesPage(productionLicences(lock)));
}

// a test only reads what would be written
if (process.argv[1]?.endsWith('run.mjs')) writeLicences();
