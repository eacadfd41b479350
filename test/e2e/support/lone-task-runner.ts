import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { allReady, eventually, kill } from './system';
import { stopAllTasks } from './task-books';

/** What `serviceTypes` of the file may say of a type; the rest is filled in. */
export type TypeGiven = { image: string } & Record<string, unknown>;

/** For tests whose replicas must be the only task-runners: the instance's own one is held down until `release`. */
export async function holdOwnTaskRunner(): Promise<{ release: () => Promise<void> }> {
  await stopAllTasks();
  const held = kill('task-runner', { hold: true });
  return {
    release: async () => {
      held.release();
      await eventually('everything is ready', allReady, 60_000);
    },
  };
}

/** A file of service types for a replica. @returns what goes into its environment, and what removes the file */
export function serviceTypes(types: Record<string, TypeGiven>): { env: Record<string, string>; remove: () => void } {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'service-types-'));
  const file = path.join(folder, 'types.json');
  const usual = {
    containerPort: 8080,
    resources: { cpu: 0.2, memory: '64Mi', pids: 32 },
    capacity: { pool: 'local-cpu', units: 100 },
    readiness: { path: '/healthz', timeoutSeconds: 20 },
  };
  const filled = Object.entries(types).map(([name, given]) => [name, { ...usual, ...given }]);
  // JSON is YAML
  fs.writeFileSync(file, JSON.stringify({ serviceTypes: Object.fromEntries(filled) as unknown }));
  return { env: { SERVICE_TYPES_FILE: file }, remove: () => fs.rmSync(folder, { recursive: true }) };
}
