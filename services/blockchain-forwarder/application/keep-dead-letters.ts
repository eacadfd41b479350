import { uuidFromName } from '../../../shared/contracts/ids';
import type { DeadLetter, DeadLetterReason } from '../domain/dead-letter';

/** Why an event came to nothing: a code, and a sentence. */
export interface Diagnosis {
  reason: DeadLetterReason;
  detail: string;
}

/** @param event as it came, whatever it is */
export function letterOf(topic: string, event: unknown, { reason, detail }: Diagnosis, receivedAt: Date): DeadLetter {
  const text = JSON.stringify(event) ?? 'null';
  const id = (event as { id?: unknown } | null)?.id;
  return {
    id: uuidFromName(JSON.stringify(['dead-letter', topic, text])),
    topic,
    eventId: typeof id === 'string' && /^[\w.:-]{1,100}$/.test(id) ? id : null,
    reason,
    detail,
    event: text,
    receivedAt: receivedAt.toISOString(),
  };
}
