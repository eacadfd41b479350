import { DaprUsageStore } from '../../services/blockchain-forwarder/adapters/dapr-usage-store';
import { describeUsageStore } from '../../services/blockchain-forwarder/test/usage-store.contract';
import { connectSidecar, type Sidecar } from '../../shared/dapr/sidecar';
import { system } from './support/system';

/** The contract of ports/usage-store.ts over the real sidecar and PostgreSQL; its sinks are none that the system knows. */

let sidecar: Sidecar;

beforeAll(() => {
  const { services, daprApiToken } = system();
  const { port } = new URL(services['blockchain-forwarder']!.daprHttpUrl);
  sidecar = connectSidecar({ port: Number(port), apiToken: daprApiToken });
});
afterAll(() => sidecar.close());

describeUsageStore('Dapr', () => new DaprUsageStore(sidecar));
