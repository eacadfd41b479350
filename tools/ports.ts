import net from 'node:net';
import { spawnSync } from 'node:child_process';
import { Failure } from './failure';
import type { Instance } from './instance';

/** Every port that the instance is about to use, by who uses it. */
function wanted(instance: Instance): [number, string][] {
  const own: [number, string][] = [];
  if (!process.env.DATABASE_URL) own.push([instance.ports.postgres, 'PostgreSQL']);
  if (!process.env.NATS_URL) own.push([instance.ports.nats, 'the broker']);
  if (!process.env.EVM_RPC_URL) own.push([instance.ports.chain, 'the chain']);
  const apps = instance.apps.flatMap(({ name, ports }): [number, string][] => [
    [ports.appPort, name],
    [ports.daprHTTPPort, `the sidecar of ${name}`],
    [ports.daprGRPCPort, `the sidecar of ${name}`],
    [ports.metricsPort, `the sidecar of ${name}`],
    [ports.daprInternalGRPCPort, `the sidecar of ${name}`],
  ]);
  return [...own, ...apps];
}

/** @throws Failure naming the first port that somebody else listens on, by whom, and what to do */
export async function demandFreePorts(instance: Instance): Promise<void> {
  for (const [port, use] of wanted(instance)) {
    if (await isFree(port)) continue;
    throw new Failure(
      `Port ${port} on 127.0.0.1, which ${use} needs, is taken${holder(port)}: stop that program, or start with RM_PORT_OFFSET=100 to use other ports.`,
    );
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** " by nginx (pid 123)" where `ss` or `lsof` can tell; otherwise nothing. */
function holder(port: number): string {
  const ss = spawnSync('ss', ['-ltnpH', `sport = :${port}`], { encoding: 'utf8' });
  const [, name, pid] = /\(\("([^"]+)",pid=(\d+)/.exec(ss.stdout ?? '') ?? [];
  if (name) return ` by ${name} (pid ${pid})`;
  const lsof = spawnSync('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fcp'], { encoding: 'utf8' });
  const [, lsofPid, lsofName] = /p(\d+)\nc(.+)/.exec(lsof.stdout ?? '') ?? [];
  return lsofName ? ` by ${lsofName} (pid ${lsofPid})` : '';
}
