import { randomUUID } from 'node:crypto';
import type { CloudEvent } from '../../../shared/contracts/events';

/** An event as the service allocation publishes it when something is given back, with the trace of the request. */
function released(): CloudEvent<'allocation.released'> {
  const now = new Date();
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'allocation',
    type: 'allocation.released',
    time: now.toISOString(),
    datacontenttype: 'application/json',
    traceparent: `00-${randomUUID().replaceAll('-', '')}-${randomUUID().slice(24)}0000-01`,
    data: {
      allocation_id: randomUUID(),
      resource_pool_id: randomUUID(),
      service_id: randomUUID(),
      capacity: 1,
      created_at: new Date(now.getTime() - 3_600_000).toISOString(),
      created_by: randomUUID(),
      task_id: null,
      released_at: now.toISOString(),
      duration: 'PT1H',
      end_reason: 'released',
      released_by: 'system',
    },
  };
}

export const releasedTimes = (count: number): CloudEvent[] => Array.from({ length: count }, released);
