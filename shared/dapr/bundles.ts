import type { CloudEvent } from '../contracts/events';

const MAX_EVENTS = 500;
/** NATS takes 1 MiB a message. */
const MAX_BYTES = 512 * 1024;

/** Divides events into bundles, in their order. One that is larger than a bundle may be goes alone. */
export function bundlesOf(events: readonly CloudEvent[]): CloudEvent[][] {
  const bundles: CloudEvent[][] = [];
  let bundle: CloudEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    // and a bracket or comma
    const size = Buffer.byteLength(JSON.stringify(event)) + 1;
    if (bundle.length === 0 || bundle.length === MAX_EVENTS || bytes + size > MAX_BYTES) {
      bundle = [];
      bytes = 1;
      bundles.push(bundle);
    }
    bundle.push(event);
    bytes += size;
  }
  return bundles;
}
