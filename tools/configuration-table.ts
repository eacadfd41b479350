import type { z } from 'zod';
import { configShape as allocation } from '../services/allocation/config';
import { configShape as forwarder } from '../services/blockchain-forwarder/config';
import { configShape as resourcePool } from '../services/resource-pool/config';
import { configShape as taskRunner } from '../services/task-runner/config';
import { baseConfig } from '../shared/process/config';
import { variableOf } from '../shared/process/variable';
import { TOOL_VARIABLES } from './tool-variables';

export const SERVICE_VARIABLES: Record<string, Record<string, z.ZodType>> = {
  'resource-pool': resourcePool,
  allocation,
  'task-runner': taskRunner,
  'blockchain-forwarder': forwarder,
};

type Row = [variable: string, reader: string, fallback: string, allowed: string, meaning: string];

const HEAD: Row = ['variable', 'read by', 'default', 'must be', 'meaning'];

const ABOVE = `# Configuration

Every variable of the system; \`npm run configuration\` writes this file from the services' \`config.ts\`, the forwarder's sinks and
\`tools/tool-variables.ts\`, and a test compares. An empty variable counts as absent. A service with a wrong one does not start: it ends
with code 78 and one message that names every fault with what is allowed, and shows no value.

**Production.** \`NODE_ENV\` is \`production\` unless told otherwise; \`npm start\` tells its services \`development\`. In production no secret
may be one for development: a published key (the accounts of anvil and hardhat), a placeholder (\`change-me\`, \`example\`, \`secret\`, …),
or what is not random (one character, a short piece repeated, a row as of the alphabet). The same goes for a key that a reference
(\`EVM_KEY\`, \`LEDGER_SIGNING_KEY\`) leads to. \`openssl rand -base64 32\` makes one that is fit. No secret has a default: \`npm start\` draws
those of an instance at random and keeps them in its folder.

A variable that tools and services read has a row for each. What a service reads passes through from the environment of \`npm start\`.

`;

/** The text of docs/configuration.md. */
export function configurationTable(): string {
  const rows = [...serviceRows(), ...TOOL_VARIABLES.map(toolRow)].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return ABOVE + table([HEAD, ...rows.map(([name, ...rest]): Row => [code(name), ...rest])]);
}

function serviceRows(): Row[] {
  return Object.entries(SERVICE_VARIABLES).flatMap(([service, shape], at) =>
    Object.entries(shape)
      .filter(([name]) => at === 0 || !(name in baseConfig))
      .map(([name, field]) => serviceRow(name, name in baseConfig ? 'every service' : service, field)),
  );
}

function serviceRow(name: string, reader: string, field: z.ZodType): Row {
  const { description, allowed, isSecret, isNeeded, fallback } = variableOf(field);
  const given = fallback === undefined ? (isNeeded ? '**needed**' : 'none') : code(fallback);
  return [name, reader, given, allowed, isSecret ? `${description} **(secret)**` : description];
}

function toolRow({ name, reader, fallback, allowed, meaning }: (typeof TOOL_VARIABLES)[number]): Row {
  return [name, reader, fallback, allowed, meaning];
}

const code = (text: string): string => `\`${text}\``;

function table(rows: readonly Row[]): string {
  const escaped = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = HEAD.map((_, column) => Math.max(...escaped.map((row) => row[column]?.length ?? 0)));
  const line = (cells: string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |\n`;
  const [head = [], ...body] = escaped;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('');
}
