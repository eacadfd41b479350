import { MemorySink } from '../adapters/memory-sink';
import { describeUsageSink } from './usage-sink.contract';

const sink = new MemorySink();

describeUsageSink('memory', () => ({
  sink,
  stored: () => Promise.resolve([...sink.records.keys()]),
  goAway: () => {
    sink.down = true;
    return Promise.resolve();
  },
  comeBack: () => {
    sink.down = false;
    return Promise.resolve();
  },
}));
