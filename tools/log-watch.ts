import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Instance } from './instance';

const lineSchema = z.looseObject({ level: z.string(), message: z.string() });
const REPEAT_MS = 10_000;
const CHUNK = 256 * 1024;

/**
 * Shows at the console what somebody should see of the logs: warnings and errors of services, errors of sidecars, and that
 * a part died and was started again. A line that repeats is shown once in ten seconds. Returns what ends it.
 */
export function watchLogs(instance: Instance, show: (text: string) => void): () => void {
  const folder = path.join(instance.runDir, 'logs');
  const offsets = new Map<string, number>();
  const lastShown = new Map<string, number>();
  const look = (): void => {
    for (const file of fs.readdirSync(folder).filter((name) => name.endsWith('.log') && name !== 'dapr.log')) {
      for (const line of newLines(path.join(folder, file), offsets)) {
        const text = notable(path.basename(file, '.log'), line);
        if (text === undefined || Date.now() - (lastShown.get(text) ?? 0) < REPEAT_MS) continue;
        if (lastShown.size > 1000) lastShown.clear();
        lastShown.set(text, Date.now());
        show(text);
      }
    }
  };
  const timer = setInterval(look, 500);
  return () => clearInterval(timer);
}

/** Whole lines since the last look; a file that has become shorter is a new one. A flood is shown in part. */
function newLines(file: string, offsets: Map<string, number>): string[] {
  const size = fs.statSync(file).size;
  const known = offsets.get(file) ?? 0;
  const from = known > size ? 0 : Math.max(known, size - CHUNK);
  if (from === size) return [];
  const handle = fs.openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(size - from);
    const end = buffer.subarray(0, fs.readSync(handle, buffer, 0, buffer.length, from)).lastIndexOf(0x0a);
    offsets.set(file, from + end + 1);
    return buffer
      .subarray(0, end + 1)
      .toString('utf8')
      .split('\n')
      .filter(Boolean);
  } finally {
    fs.closeSync(handle);
  }
}

function notable(name: string, line: string): string | undefined {
  if (line.startsWith('supervise: ')) return `${name}: ${line.slice('supervise: '.length)}`;
  if (name.startsWith('daprd-')) {
    const message = /level=(?:error|fatal) msg="?(.*?)"?(?: scope=.*)?$/.exec(line)?.[1];
    return message === undefined ? undefined : `${name}: ${message.slice(0, 300)}`;
  }
  if (!line.startsWith('{')) return undefined;
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return undefined; // not one of ours
  }
  const parsed = lineSchema.safeParse(entry);
  if (!parsed.success || !['warn', 'error'].includes(parsed.data.level)) return undefined;
  return `${name} ${parsed.data.level}: ${parsed.data.message.slice(0, 300)}`;
}
