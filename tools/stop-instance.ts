import fs from 'node:fs';
import { devInfoFile } from './dev-info';
import { containersOf, findDocker } from './docker';
import { currentInstance, type Instance } from './instance';
import { pidDir, recordedNames, stopProcesses } from './processes';
import { openTasks } from './task-firewall';

/**
 * Stops all processes of an instance, in the order in which nobody misses what he needs: services (they finish requests
 * under way, through sidecars and database), sidecars, then the rest. At most 9.5 s: 6 + 1.5 + 2, as the time-outs say.
 * Goes by the pid files alone, so that it ends what a killed start tool left behind just as well.
 */
export async function stopInstance(instance: Instance = currentInstance()): Promise<void> {
  fs.rmSync(devInfoFile(instance), { force: true });
  const names = recordedNames(instance).filter((name) => name !== 'start');
  const below = ['dapr', 'postgres', 'nats', 'chain'];
  const sidecars = names.filter((name) => name.startsWith('daprd'));
  const services = names.filter((name) => !sidecars.includes(name) && !below.includes(name));
  await stopProcesses(instance, services, 6000);
  await stopProcesses(instance, sidecars, 1500);
  // a sidecar or service that was being started while the others were stopped
  await stopProcesses(instance, [...below, ...recordedNames(instance).filter((name) => name !== 'start')], 2000);
  fs.rmSync(pidDir(instance), { recursive: true, force: true });
  // tasks run on, and are found again: the host stays closed off from them
  const docker = await findDocker();
  const running = docker ? await containersOf(docker, instance) : [];
  if (running.length === 0) await openTasks(instance.label);
}
