import { MemoryUsageReports } from '../adapters/memory-usage-reports';
import { MemoryLedger } from '../adapters/memory-ledger';
import { describeUsageReports } from './usage-reports.contract';

describeUsageReports('memory', () => {
  const store = new MemoryLedger();
  return { store, reports: new MemoryUsageReports(store) };
});
