import type { Logger } from '../logging/logger';

export interface RecordedLine extends Record<string, unknown> {
  level: keyof Logger;
  message: string;
}

/** A logger whose lines a test can read. */
export function recordingLogger(): Logger & { lines: RecordedLine[] } {
  const lines: RecordedLine[] = [];
  const keep =
    (level: keyof Logger) =>
    (message: string, fields: Record<string, unknown> = {}): void =>
      void lines.push({ ...fields, level, message });
  return { lines, error: keep('error'), warn: keep('warn'), info: keep('info'), debug: keep('debug') };
}
