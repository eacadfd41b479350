const startedAt = Date.now();

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

/** One line at the console, with the time since the tool was started. */
export function say(text: string): void {
  console.log(`${seconds(startedAt).padStart(8)}  ${text}`);
}

/** Time since the tool was started. */
export function elapsed(): string {
  return seconds(startedAt);
}

/**
 * Runs a step and says how long it took. A step that takes long says every ten seconds that it is still at it.
 * `result` may say more about what was found ("PostgreSQL: embedded, port 5499").
 */
export async function step<T>(name: string, work: () => Promise<T>, result?: (value: T) => string): Promise<T> {
  const began = Date.now();
  const reminder = setInterval(() => say(`${name} … ${seconds(began)}`), 10_000);
  try {
    const value = await work();
    say(`${name}: ${result ? result(value) : 'ready'} (${seconds(began)})`);
    return value;
  } finally {
    clearInterval(reminder);
  }
}

/** Asks every `everyMs` until the answer is true; false when `timeoutMs` have passed. */
export async function until(
  check: () => Promise<boolean> | boolean,
  timeoutMs: number,
  everyMs = 100,
): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (await check()) return true;
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
