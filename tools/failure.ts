/** A failure that the person at the keyboard can cure: one sentence that says what is wrong and what to do. */
export class Failure extends Error {}

/** The sentence of a failure; of anything else the stack, for it is a fault of ours. */
export function explain(error: unknown): string {
  if (error instanceof Failure) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
