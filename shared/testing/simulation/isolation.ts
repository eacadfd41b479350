/** Takes away time and chance that are not the scheduler's: what reaches for them fails, and is found by that. */
export async function isolated<T>(run: () => Promise<T>): Promise<T> {
  const { setTimeout, setInterval } = globalThis;
  const [random, now] = [Math.random, Date.now];
  const refuse = (): never => {
    throw new Error('time and randomness come from the scheduler: make them an input');
  };
  Object.assign(globalThis, { setTimeout: refuse, setInterval: refuse });
  Object.assign(Math, { random: refuse });
  Object.assign(Date, { now: refuse });
  try {
    return await run();
  } finally {
    Object.assign(globalThis, { setTimeout, setInterval });
    Object.assign(Math, { random });
    Object.assign(Date, { now });
  }
}
