/** Where events are that the ledger has not taken yet. */
export interface Pending {
  /** Their ids. @throws with a reason in words where nobody can be asked */
  events(): AsyncIterable<string>;
}

/** The ids of the events in a message, a row of an outbox or a dead letter: one event, a bundle, or what holds them. */
export function eventsIn(content: unknown): string[] {
  let value = content;
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value);
    } catch {
      return [];
    }
  }
  const events: unknown[] = Array.isArray(value) ? value : [value];
  return events.flatMap((event) => {
    const id = (event as { id?: unknown } | null)?.id;
    return typeof id === 'string' ? [id] : [];
  });
}
