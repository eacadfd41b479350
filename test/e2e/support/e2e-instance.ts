import { currentInstance, type Instance } from '../../../tools/instance';

/** How much higher the ports of the e2e instance are; another one where two clones are tested at once on one machine. */
export const E2E_PORT_OFFSET = Number(process.env.RM_E2E_PORT_OFFSET || '1000');

/** The instance that global-setup.ts starts: beside a developer's own one, with a second replica of `allocation`. */
export const E2E = { RM_INSTANCE: 'e2e', RM_PORT_OFFSET: String(E2E_PORT_OFFSET), RM_REPLICAS: 'allocation' };

export function e2eInstance(): Instance {
  return currentInstance({ ...process.env, ...E2E });
}
