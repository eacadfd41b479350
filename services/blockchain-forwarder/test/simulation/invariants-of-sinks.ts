import { FINAL_STAGES, STAGES, type Delivery, type SinkState } from '../../domain/delivery';
import { rowOf } from './content';
import { rowsOf, type Invariant } from './seen';

export const OF_SINKS: Record<string, Invariant> = {
  'only who holds the lease of a sink writes for it': ({ transaction, content, now }) => {
    const { by, written } = transaction;
    const sinks = new Set(
      written.flatMap(({ key }) => {
        const { kind, id } = rowOf(key);
        return ['sink', 'delivery', 'progress'].includes(kind) ? [id.split(':')[0]!] : [];
      }),
    );
    for (const sink of sinks) {
      const row = rowsOf<SinkState>(transaction, 'sink').find(({ id }) => id === sink);
      if (!row?.after) return `${by} writes deliveries to ${sink} without the sink's state`;
      const holder = row.after.lease?.holder;
      const isGivenUp = row.after.lease === null && row.before?.lease?.holder === by;
      if (holder !== by && !isGivenUp) return `${by} writes for ${sink}, which ${holder ?? 'nobody'} holds`;
      const held = row.before?.lease;
      if (held && held.holder !== by && held.until > now) return `${by} takes ${sink} from ${held.holder}`;
      const begun = [...content.deliveries.values()].filter((delivery) => delivery.sink === sink).length;
      if (begun !== row.after.begun) return `${sink} has begun ${row.after.begun} batches and has ${begun}`;
    }
    return undefined;
  },

  'a delivery goes forwards, but for a chain that takes a block back': ({ transaction }) => {
    for (const { id, before, after } of rowsOf<Delivery>(transaction, 'delivery')) {
      if (!before) continue;
      const told = `the delivery ${id} was ${before.stage} and is ${after?.stage ?? 'gone'}`;
      if (!after || (FINAL_STAGES.includes(before.stage) && after.stage !== before.stage)) return told;
      if (before.stage === 'mined') continue;
      if (STAGES.indexOf(after.stage) < STAGES.indexOf(before.stage)) return told;
    }
    return undefined;
  },
};
