import { DaprDeadLetterStore } from '../../services/blockchain-forwarder/adapters/dapr-dead-letter-store';
import { DaprUsageStore } from '../../services/blockchain-forwarder/adapters/dapr-usage-store';
import { DaprLedgerStore } from '../../services/blockchain-forwarder/adapters/dapr-ledger-store';
import { DaprSinkStore } from '../../services/blockchain-forwarder/adapters/dapr-sink-store';
import { describeDeadLetterStore } from '../../services/blockchain-forwarder/test/dead-letter-store.contract';
import { describeLedgerStores } from '../../services/blockchain-forwarder/test/ledger-stores.contract';
import { describeUsageStore } from '../../services/blockchain-forwarder/test/usage-store.contract';
import { sidecarOf } from './support/sidecars';

/** The contracts of the forwarder's stores over the real sidecar and PostgreSQL; the running forwarder closes batches too. */

const sidecar = sidecarOf('blockchain-forwarder');

describeUsageStore('Dapr', () => new DaprUsageStore(sidecar));

describeLedgerStores('Dapr', () => ({
  usage: new DaprUsageStore(sidecar),
  ledger: new DaprLedgerStore(sidecar),
  sinks: new DaprSinkStore(sidecar),
}));

describeDeadLetterStore('Dapr', () => ({
  letters: new DaprDeadLetterStore(sidecar),
  usage: new DaprUsageStore(sidecar),
  sinks: new DaprSinkStore(sidecar),
}));
