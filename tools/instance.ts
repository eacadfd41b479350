import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { Failure } from './failure';

/** The repository: compiled, this file is dist/tools/instance.js; under jest it is tools/instance.ts. */
export const root = path.resolve(__dirname, path.basename(path.dirname(__dirname)) === 'dist' ? '../..' : '..');

const portFields = ['appPort', 'daprHTTPPort', 'daprGRPCPort', 'metricsPort', 'daprInternalGRPCPort'] as const;

const appSchema = z.looseObject({
  appID: z.string(),
  appPort: z.number(),
  daprHTTPPort: z.number(),
  daprGRPCPort: z.number(),
  metricsPort: z.number(),
  daprInternalGRPCPort: z.number(),
  command: z.array(z.string()),
  env: z.record(z.string(), z.string()).optional(),
});
const runFileSchema = z.looseObject({ common: z.looseObject({}), apps: z.array(appSchema) });

type RunFile = z.infer<typeof runFileSchema>;

/** One app of the run file: `name` is its app-id, or `<app-id>-2` for a second replica. */
interface App {
  name: string;
  appId: string;
  ports: Record<(typeof portFields)[number], number>;
}

/** One running copy of the whole system on this machine: its ports and its folder. */
export interface Instance {
  name: string;
  /**
   * What its containers are labelled with. Two clones on one machine share a Docker Engine, and each clears away what it
   * does not know, so the label tells clones apart.
   */
  label: string;
  runDir: string;
  /** whether it is run from the dapr.yaml at the root, unchanged */
  isDefault: boolean;
  runFile: RunFile;
  apps: App[];
  ports: { postgres: number; nats: number; chain: number };
}

/**
 * The instance that the environment names. `RM_INSTANCE=e2e RM_PORT_OFFSET=1000` runs beside the default one, in
 * `.run/e2e/` with every port 1000 higher; `RM_REPLICAS=allocation` adds a second replica of a service with ports 50 higher;
 * `RM_APPS=resource-pool,allocation` runs these apps only.
 */
export function currentInstance(env: NodeJS.ProcessEnv = process.env): Instance {
  const name = env.RM_INSTANCE || 'default';
  if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(name)) {
    throw new Failure(`RM_INSTANCE "${name}" is not usable: small letters, digits and hyphens, at most 31 of them.`);
  }
  const offset = Number(env.RM_PORT_OFFSET || '0');
  if (!Number.isInteger(offset) || offset < 0 || offset > 50_000) {
    throw new Failure(`RM_PORT_OFFSET "${env.RM_PORT_OFFSET}" is not usable: a whole number from 0 to 50000.`);
  }
  const listed = (variable: 'RM_APPS' | 'RM_REPLICAS'): string[] => (env[variable] ?? '').split(',').filter(Boolean);
  const [only, replicas] = [listed('RM_APPS'), listed('RM_REPLICAS')];
  const runFile = runFileSchema.parse(parse(fs.readFileSync(path.join(root, 'dapr.yaml'), 'utf8')));
  const isDefault = name === 'default' && offset === 0 && only.length === 0 && replicas.length === 0;
  if (only.length > 0) runFile.apps = only.map((appId) => appOf(runFile, appId, 'RM_APPS'));
  runFile.apps = [...runFile.apps, ...replicas.map((appId) => replicaOf(runFile, appId))].map((app) =>
    shift(app, offset),
  );
  return {
    name,
    label: `${name}-${createHash('sha256').update(root).digest('hex').slice(0, 8)}`,
    runDir: name === 'default' ? path.join(root, '.run') : path.join(root, '.run', name),
    isDefault,
    runFile,
    apps: runFile.apps.map((app, index) => ({
      // the second replica's command says its name where the first one's says the app-id
      name: runFile.apps.findIndex((other) => other.appID === app.appID) === index ? app.appID : `${app.appID}-2`,
      appId: app.appID,
      ports: app,
    })),
    ports: { postgres: 5499 + offset, nats: 4299 + offset, chain: 8599 + offset },
  };
}

function appOf({ apps }: RunFile, appId: string, variable: string): RunFile['apps'][number] {
  const app = apps.find((candidate) => candidate.appID === appId);
  if (!app) throw new Failure(`${variable} names "${appId}", which is not among the apps of dapr.yaml that run.`);
  return app;
}

function replicaOf(runFile: RunFile, appId: string): RunFile['apps'][number] {
  const app = appOf(runFile, appId, 'RM_REPLICAS');
  return { ...shift(app, 50), command: app.command.map((word) => (word === appId ? `${appId}-2` : word)) };
}

function shift<T extends App['ports']>(app: T, by: number): T {
  const shifted = { ...app };
  for (const field of portFields) shifted[field] = app[field] + by;
  return shifted;
}
