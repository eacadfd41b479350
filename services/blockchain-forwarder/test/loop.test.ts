import { startLoop } from '../application/loop';

describe('a loop of background work', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());
  const turns: (() => void)[] = [];
  let begun = 0;
  const turn = () => {
    begun += 1;
    return new Promise<number>((resolve) => turns.push(() => resolve(1_000)));
  };
  const end = async () => {
    turns.shift()?.();
    await jest.advanceTimersByTimeAsync(0);
  };

  beforeEach(() => {
    turns.length = 0;
    begun = 0;
  });

  it('takes the first turn at once, and the next when the one before said', async () => {
    const loop = startLoop(turn, 50);
    await jest.advanceTimersByTimeAsync(0);
    expect(begun).toBe(1);
    await end();
    await jest.advanceTimersByTimeAsync(999);
    expect(begun).toBe(1);
    await jest.advanceTimersByTimeAsync(1);
    expect(begun).toBe(2);
    await end();
    await loop.stop();
  });

  it('when woken, then the turn comes after the gathering, once for all wakes', async () => {
    const loop = startLoop(turn, 50);
    await jest.advanceTimersByTimeAsync(0);
    await end();
    loop.wake();
    await jest.advanceTimersByTimeAsync(30);
    loop.wake();
    await jest.advanceTimersByTimeAsync(20);
    expect(begun).toBe(2);
    await end();
    await jest.advanceTimersByTimeAsync(500);
    expect(begun).toBe(2);
    await loop.stop();
  });

  it('when woken while a turn is under way, then another follows soon after', async () => {
    const loop = startLoop(turn, 50);
    await jest.advanceTimersByTimeAsync(0);
    loop.wake();
    await end();
    await jest.advanceTimersByTimeAsync(50);
    expect(begun).toBe(2);
    await end();
    await loop.stop();
  });

  it('when stopped, then the turn under way is waited for and none follows', async () => {
    const loop = startLoop(turn, 50);
    await jest.advanceTimersByTimeAsync(0);
    let stopped = false;
    const stopping = loop.stop().then(() => (stopped = true));
    await jest.advanceTimersByTimeAsync(10);
    expect(stopped).toBe(false);
    await end();
    await stopping;
    loop.wake();
    await jest.advanceTimersByTimeAsync(5_000);
    expect(begun).toBe(1);
  });
});
