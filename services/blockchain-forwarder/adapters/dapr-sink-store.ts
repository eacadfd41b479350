import type { Sidecar } from '../../../shared/dapr/sidecar';
import type { Delivery, SinkState } from '../domain/delivery';
import type { Versioned } from '../ports/ledger-store';
import type { SinkWrite, OpenDelivery, SinkStore } from '../ports/sink-store';
import { arrivals } from './dapr-dead-letter-store';
import { transacted } from './transacted';
import { deadLetterKey, DELIVERY, deliveryKey, IS_DELIVERY, progressKey, sinkKey } from './usage-schema';

/** How far the sinks are, over the own sidecar. */
export class DaprSinkStore implements SinkStore {
  constructor(private readonly sidecar: Sidecar) {}

  async state(sink: string): Promise<Versioned<SinkState | null>> {
    const row = (await this.sidecar.get([sinkKey(sink)])).get(sinkKey(sink));
    return row ? { value: row.value as SinkState, version: row.etag } : { value: null, version: null };
  }

  async open(sink: string, place: string, limit: number): Promise<OpenDelivery[]> {
    const sql = `SELECT json_build_object('delivery', ${DELIVERY.document}, 'batch', ${DELIVERY.batch},
        'progress', ${DELIVERY.progress})::text
      FROM state AS delivery WHERE ${IS_DELIVERY} AND ${DELIVERY.isOpen} AND ${DELIVERY.sink} = $1 AND ${DELIVERY.place} = $2
      ORDER BY ${DELIVERY.batchId} LIMIT ${limit}`;
    return (await this.sidecar.query(sql, [sink, place])) as OpenDelivery[];
  }

  async delivery(sink: string, batchId: number): Promise<{ delivery: Delivery; progress: unknown } | null> {
    const [key, progress] = [deliveryKey({ sink, batchId }), progressKey({ sink, batchId })];
    const rows = await this.sidecar.get([key, progress]);
    const row = rows.get(key);
    return row ? { delivery: row.value as Delivery, progress: rows.get(progress)?.value ?? null } : null;
  }

  async write(state: SinkState, version: string | null, more: SinkWrite = {}): Promise<boolean> {
    const { deliveries = [], letters = [], handled = [] } = more;
    const come = await arrivals(this.sidecar, letters);
    return transacted(this.sidecar, [
      { upsert: sinkKey(state.sink), value: state, etag: version },
      ...deliveries.map(({ delivery }) => ({ upsert: deliveryKey(delivery), value: delivery })),
      ...deliveries.map(({ delivery, progress }) =>
        progress === null ? { remove: progressKey(delivery) } : { upsert: progressKey(delivery), value: progress },
      ),
      ...come,
      ...handled.map(({ value, version: etag }) => ({ upsert: deadLetterKey(value.id), value, etag })),
    ]);
  }

  async backlog(): Promise<Record<string, number>> {
    const sql = `SELECT json_build_object('sink', ${DELIVERY.sink}, 'count', count(*))::text FROM state AS delivery
      WHERE ${IS_DELIVERY} AND ${DELIVERY.isOpen} GROUP BY ${DELIVERY.sink}`;
    const rows = (await this.sidecar.query(sql, [])) as { sink: string; count: number }[];
    return Object.fromEntries(rows.map(({ sink, count }) => [sink, count]));
  }
}
