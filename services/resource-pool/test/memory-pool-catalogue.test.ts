import { MemoryPoolCatalogue } from '../adapters/memory-pool-catalogue';
import { describePoolCatalogue } from './pool-catalogue.contract';

describePoolCatalogue('in memory', () => new MemoryPoolCatalogue());
