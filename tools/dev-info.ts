import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Instance } from './instance';
import { recordedNames, runningPid } from './processes';

/** What `.run/dev.json` says of a running instance. It holds tokens: readable by its owner only. */
export const devInfoSchema = z.object({
  services: z.record(z.string(), z.object({ url: z.string(), daprHttpUrl: z.string() })),
  daprApiToken: z.string(),
  tokens: z.object({ admin: z.string(), owner: z.string(), service: z.string(), user: z.string() }),
  databaseUrl: z.string(),
  natsUrl: z.string(),
  /** absent where RM_APPS leaves the forwarder out */
  evm: z.object({ rpcUrl: z.string(), contract: z.string() }).optional(),
  /** further replicas, where RM_REPLICAS asked for some: `allocation-2` */
  replicas: z.record(z.string(), z.object({ url: z.string(), daprHttpUrl: z.string() })),
  /** process ids at the time of writing; a part that was started again has its present one in `<runDir>/pids/<name>` */
  pids: z.record(z.string(), z.number()),
  runDir: z.string(),
});

export type DevInfo = z.infer<typeof devInfoSchema>;

export function devInfoFile(instance: Instance): string {
  return path.join(instance.runDir, 'dev.json');
}

/** Puts together what there is to know, and writes it. */
export function writeDevInfo(
  instance: Instance,
  known: Pick<DevInfo, 'daprApiToken' | 'tokens' | 'databaseUrl' | 'natsUrl' | 'evm'>,
): DevInfo {
  const addresses = (replica: boolean): DevInfo['services'] =>
    Object.fromEntries(
      instance.apps
        .filter((app) => (app.name !== app.appId) === replica)
        .map(({ name, ports }) => [
          name,
          { url: `http://127.0.0.1:${ports.appPort}`, daprHttpUrl: `http://127.0.0.1:${ports.daprHTTPPort}` },
        ]),
    );
  const pids = recordedNames(instance).flatMap((name) => {
    const pid = runningPid(instance, name);
    return pid === undefined ? [] : [[name, pid] as const];
  });
  const info: DevInfo = {
    services: addresses(false),
    ...known,
    replicas: addresses(true),
    pids: Object.fromEntries(pids),
    runDir: instance.runDir,
  };
  // renamed into place: who waits for the file finds all of it
  const unfinished = `${devInfoFile(instance)}.new`;
  fs.writeFileSync(unfinished, `${JSON.stringify(info, null, 2)}\n`, { mode: 0o600 });
  fs.renameSync(unfinished, devInfoFile(instance));
  return info;
}
