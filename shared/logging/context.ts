import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';

/** What every log line and outgoing call of one piece of work has in common. */
export interface WorkContext {
  requestId: string;
  /** W3C trace context (https://www.w3.org/TR/trace-context/): ours, as the next part receives it. */
  traceparent: string;
}

const storage = new AsyncLocalStorage<WorkContext>();
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;

/** Continues the caller's trace when `incoming` is a valid traceparent, else begins one. The span id is new. */
export function childTraceparent(incoming: string | undefined): string {
  const parent = incoming === undefined ? null : TRACEPARENT.exec(incoming);
  const traceId = parent?.[1] ?? randomHex();
  return `00-${traceId}-${randomHex().slice(16)}-${parent?.[2] ?? '01'}`;
}

/** 32 digits, 122 of their 128 bits random; Node draws the randomness of many UUIDs at once, that of bytes each time. */
function randomHex(): string {
  return randomUUID().replaceAll('-', '');
}

export function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35);
}

/** Runs `work` so that its log lines and calls carry this request and trace. */
export function withContext<T>(context: { requestId: string; traceparent: string | undefined }, work: () => T): T {
  return storage.run({ requestId: context.requestId, traceparent: childTraceparent(context.traceparent) }, work);
}

export function currentContext(): WorkContext | undefined {
  return storage.getStore();
}
