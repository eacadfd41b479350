import { MemoryUsageStore } from '../adapters/memory-usage-store';
import { describeUsageStore } from './usage-store.contract';

describeUsageStore('memory', () => new MemoryUsageStore());
