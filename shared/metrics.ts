import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** Prometheus metrics of one service: its own registry, so that tests can have several. */
export interface Metrics {
  registry: Registry;
  requests: Histogram<'method' | 'route' | 'status'>;
  relayed: Counter;
  outboxWaiting: Gauge;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    requests: new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Requests by route, status and time',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers: [registry],
    }),
    relayed: new Counter({
      name: 'outbox_events_relayed_total',
      help: 'Events published from the outbox',
      registers: [registry],
    }),
    outboxWaiting: new Gauge({
      name: 'outbox_events_waiting',
      help: 'Events in the outbox at the last look',
      registers: [registry],
    }),
  };
}
