import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { e2eInstance } from './e2e-instance';

export interface LogLine extends Record<string, unknown> {
  service: string;
  level: string;
  message: string;
}

/** All that the e2e instance's processes have printed, by file. */
export function logTexts(): Map<string, string> {
  const folder = join(e2eInstance().runDir, 'logs');
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

/** The structured lines of the services. */
export function logLines(): LogLine[] {
  return [...logTexts()].flatMap(([name, text]) =>
    name.startsWith('daprd-') ? [] : text.split('\n').flatMap((line) => asLine(line) ?? []),
  );
}

function asLine(text: string): LogLine | undefined {
  if (!text.startsWith('{"')) return undefined;
  try {
    const line = JSON.parse(text) as Partial<LogLine>;
    return line.service === undefined ? undefined : (line as LogLine);
  } catch {
    return undefined; // the last line may be half written
  }
}
