import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../../tools/instance';
import { e2eInstance } from './e2e-instance';

function markdown(folder: string): string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) return ['node_modules', 'dist', 'test'].includes(entry.name) ? [] : markdown(name);
    return name.endsWith('.md') ? [name] : [];
  });
}
export const DOCUMENTS = ['README.md', ...['docs', 'services', 'shared', 'deploy'].flatMap(markdown)];

/** A shell block of a document, and the JSON block right below it, which is what the reader should see. */
export interface Step {
  line: number;
  commands: string;
  result: unknown;
}

/** The ```sh blocks of a Markdown file in their order. */
export function stepsOf(file: string): Step[] {
  const lines = readFileSync(path.join(root, file), 'utf8').split('\n');
  const blocks: { language: string; start: number; end: number; text: string }[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const language = /^```(\w+)$/.exec(lines[index]!)?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf('```', index);
    blocks.push({ language, start: index, end, text: lines.slice(index + 1, end).join('\n') });
    index = end;
  }
  return blocks.flatMap((block, index) => {
    if (block.language !== 'sh') return [];
    const next = blocks[index + 1];
    const shown = next?.language === 'json' && lines.slice(block.end + 1, next.start).every((line) => line === '');
    return [
      { line: block.start + 1, commands: block.text, result: shown ? (JSON.parse(next.text) as unknown) : undefined },
    ];
  });
}

/** The documents speak of the default instance; the tests run beside it, with other ports and another folder. */
export function forE2e(commands: string): string {
  const { ports, runDir } = e2eInstance();
  const offset = ports.postgres - 5499;
  const folder = path.relative(root, runDir);
  return commands
    .replace(
      /(127\.0\.0\.1:|-port )(\d{4})\b/g,
      (_, before: string, port: string) => `${before}${Number(port) + offset}`,
    )
    .replace(/(?<![\w/])(\.\/)?\.run\//g, `./${folder}/`)
    .replaceAll('components/configuration/local.yaml', `${folder}/configuration.yaml`);
}

/** A value with what differs from run to run replaced by its kind, so that two runs compare. */
export function kindOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(kindOf);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, kindOf(item)]));
  }
  if (typeof value === 'number') return value >= 30_000 && value <= 65_535 ? 'a port' : value;
  if (typeof value !== 'string') return value;
  if (/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(value)) return 'a UUID';
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) return 'a time';
  if (/^PT[\dHMS.]+$/.test(value)) return 'a duration';
  if (/^0x[\da-f]{64}$/.test(value)) return 'a hash';
  return value.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:port');
}
