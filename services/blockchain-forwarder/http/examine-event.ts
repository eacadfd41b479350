import { cloudEvent, type EventType } from '../../../shared/contracts/events';
import type { EndOfUse } from '../domain/usage-record';

/** Topics whose events end a use; components/subscription-*.yaml has a document for each. */
export const TOPICS = ['task.stopped', 'task.failed', 'allocation.released'] as const satisfies readonly EventType[];

/** Either the valid event, or what is wrong with it. */
export function examineEvent(event: unknown): Examined & { topic: string } {
  const type = (event as { type?: unknown } | null)?.type;
  const topic = TOPICS.find((known) => known === type);
  if (!topic) return { topic: 'unknown', detail: 'it is no event that ends a use' };
  const parsed = cloudEvent(topic).safeParse(event);
  if (parsed.success) return { topic, valid: parsed.data as EndOfUse };
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'event'}: ${issue.message}`);
  return { topic, detail: faults.join('; ').slice(0, 2_000) };
}

type Examined = { valid: EndOfUse; detail?: never } | { valid?: never; detail: string };
