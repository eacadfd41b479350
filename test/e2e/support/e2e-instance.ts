import { currentInstance, type Instance } from '../../../tools/instance';

/** The instance that global-setup.ts starts: beside a developer's own one, with a second replica of `allocation`. */
export const E2E = { RM_INSTANCE: 'e2e', RM_PORT_OFFSET: '1000', RM_REPLICAS: 'allocation' };

export function e2eInstance(): Instance {
  return currentInstance({ ...process.env, ...E2E });
}
