import crypto from 'node:crypto';

/** What a run may be given in the place of what is taken away. */
export interface Given {
  setTimeout?: (work: () => void, ms?: number) => unknown;
  clearTimeout?: (timer: unknown) => void;
  randomBytes?: (length: number) => Buffer;
  fetch?: typeof fetch;
}

/** Takes away time and chance that are not the scheduler's: what reaches for them fails, and is found by that. */
export async function isolated<T>(run: () => Promise<T>, given: Given = {}): Promise<T> {
  const { setTimeout, setInterval, clearTimeout, fetch } = globalThis;
  const { randomBytes } = crypto;
  const [random, now] = [Math.random, Date.now];
  const refuse = (): never => {
    throw new Error('time and randomness come from the scheduler: make them an input');
  };
  const { randomBytes: bytes = refuse, ...others } = given;
  Object.assign(globalThis, { setTimeout: refuse, setInterval: refuse, fetch: refuse, ...others });
  Object.assign(crypto, { randomBytes: bytes });
  Object.assign(Math, { random: refuse });
  Object.assign(Date, { now: refuse });
  try {
    return await run();
  } finally {
    Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, fetch });
    Object.assign(crypto, { randomBytes });
    Object.assign(Math, { random });
    Object.assign(Date, { now });
  }
}
