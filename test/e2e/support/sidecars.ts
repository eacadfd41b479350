import { connectSidecar, type Sidecar, type SidecarOptions } from '../../../shared/dapr/sidecar';
import { system } from './system';

const open: Sidecar[] = [];
afterAll(() => Promise.all(open.map((sidecar) => sidecar.close())));

/** The sidecar of a service, for the tests of this file. */
export function sidecarOf(appId: string, options: Partial<SidecarOptions> = {}): Sidecar {
  const { services, daprApiToken } = system();
  const port = Number(new URL(services[appId]!.daprHttpUrl).port);
  const sidecar = connectSidecar({ port, apiToken: daprApiToken, ...options });
  open.push(sidecar);
  return sidecar;
}
