import { MemoryLedger } from '../adapters/memory-ledger';
import { describeDeadLetterStore } from './dead-letter-store.contract';
import { describeLedgerStores } from './ledger-stores.contract';
import { describeUsageStore } from './usage-store.contract';

describeUsageStore('memory', () => new MemoryLedger());

let store: MemoryLedger;
beforeEach(() => {
  store = new MemoryLedger();
});
describeLedgerStores('memory', () => ({ usage: store, ledger: store, sinks: store }));
describeDeadLetterStore('memory', () => ({ letters: store, usage: store, sinks: store }));
