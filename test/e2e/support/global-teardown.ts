import { findDocker, removeContainers } from '../../../tools/docker';
import { e2eInstance } from './e2e-instance';
import { stopInstanceTool } from './start-tool';

/** Stops the system and removes its containers. Data and logs stay until the next run, for whoever looks into a failure. */
export default async function globalTeardown(): Promise<void> {
  if (process.env.RM_E2E_KEEP) return;
  const instance = e2eInstance();
  await stopInstanceTool(instance);
  const docker = await findDocker();
  if (docker) await removeContainers(docker, instance);
}
