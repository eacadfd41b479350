import { AsyncLocalStorage } from 'node:async_hooks';

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

/** How many steps run inside the one that the current work belongs to. */
const around = new AsyncLocalStorage<{ inner: number }>();

/**
 * Runs a step and says how long it took. A step that takes long says every ten seconds that it is still at it, and how far
 * it is, unless a step inside of it does. `result` may say more about what was found ("PostgreSQL: embedded, port 5499").
 * @param work is given what to call to say how far it is ("310 of 2,000 packages")
 */
export async function step<T>(
  name: string,
  work: (tell: (howFar: string) => void) => Promise<T>,
  result?: (value: T) => string,
): Promise<T> {
  const began = Date.now();
  const outer = around.getStore();
  const own = { inner: 0 };
  let told = '';
  const reminder = setInterval(() => {
    if (own.inner === 0) say(`${name} … ${seconds(began)}${told && `, ${told}`}`);
  }, 10_000);
  if (outer) outer.inner += 1;
  try {
    const value = await around.run(own, () => work((howFar) => (told = howFar)));
    say(`${name}: ${result ? result(value) : 'ready'} (${seconds(began)})`);
    return value;
  } finally {
    if (outer) outer.inner -= 1;
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
