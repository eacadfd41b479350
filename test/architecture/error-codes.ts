import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorKind } from '../../shared/errors';
import { STATUS } from '../../shared/http/problem';

export function typescriptFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? typescriptFiles(path) : path.endsWith('.ts') ? [path] : [];
  });
}

export const isTest = (file: string): boolean => /\/(test|testing)\//.test(file);

const THROWN = /(?:new AppError\(\s*'(?<kind>\w+)',\s*|unavailable\(\s*)'(?<code>[a-z_]+\.[a-z_]+)'/g;

/** Every code that the source of the services has, with the statuses that it is answered with. */
export function publishedCodes(): Map<string, Set<number>> {
  const codes = new Map<string, Set<number>>();
  for (const file of ['services', 'shared'].flatMap(typescriptFiles).filter((each) => !isTest(each))) {
    for (const { groups } of readFileSync(file, 'utf8').matchAll(THROWN)) {
      const status = STATUS[(groups!['kind'] ?? 'unavailable') as ErrorKind];
      const code = groups!['code']!;
      codes.set(code, (codes.get(code) ?? new Set()).add(status));
    }
  }
  return codes;
}
