import { ensureDemoImage } from '../../../tools/demo-image';
import { findDocker } from '../../../tools/docker';
import { runningPid } from '../../../tools/processes';
import { e2eInstance, E2E } from './e2e-instance';
import { OUTSIDE_WORLD, QUICK_LEDGER } from './outside-world';
import { cleanInstance, runStart, stopInstanceTool, untilReady } from './start-tool';

/**
 * Brings the whole real system up, from nothing. With RM_E2E_KEEP=1 one that runs already is used, and it is left running:
 * for whoever works on one test.
 */
export default async function globalSetup(): Promise<void> {
  const instance = e2eInstance();
  if (process.env.RM_E2E_KEEP && runningPid(instance, 'start') !== undefined) return;
  await stopInstanceTool(instance);
  cleanInstance(E2E);
  // the start tool builds it too, but does not wait for it
  const docker = await findDocker();
  if (docker) await ensureDemoImage(docker);
  const tool = runStart({ ...E2E, ...OUTSIDE_WORLD, ...QUICK_LEDGER });
  const began = Date.now();
  await untilReady(tool, 180_000);
  console.log(
    `\nThe e2e instance is ready after ${((Date.now() - began) / 1000).toFixed(1)} s; logs in ${instance.runDir}/logs/`,
  );
  // jest must be able to end; the tool is stopped by its pid file
  tool.process.unref();
}
