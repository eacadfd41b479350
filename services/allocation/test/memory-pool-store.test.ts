import { MemoryPoolStore } from '../adapters/memory-pool-store';
import { describePoolStore } from './pool-store.contract';

describePoolStore('in memory', () => new MemoryPoolStore());
