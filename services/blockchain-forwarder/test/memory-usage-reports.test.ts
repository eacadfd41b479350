import { MemoryUsageReports } from '../adapters/memory-usage-reports';
import { MemoryUsageStore } from '../adapters/memory-usage-store';
import { describeUsageReports } from './usage-reports.contract';

describeUsageReports('memory', () => {
  const store = new MemoryUsageStore();
  return { store, reports: new MemoryUsageReports(store) };
});
