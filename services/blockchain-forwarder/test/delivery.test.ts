import { claimed, newDelivery, retryDelay, settled } from '../domain/delivery';

const NOW = new Date('2026-11-23T10:00:00.000Z');
const BACK_OFF = { firstMs: 500, capMs: 30_000, rejectedMs: 3_600_000 };

describe('the delivery of a record', () => {
  it('when attempts fail, then the waits double up to the cap', () => {
    const waits = [1, 2, 3, 7, 8, 1_000_000].map((attempts) => retryDelay(attempts, BACK_OFF, 0));
    expect(waits).toEqual([500, 1_000, 2_000, 30_000, 30_000, 30_000]);
  });

  it('when jitter is at its largest, then half the wait is left', () => {
    expect(retryDelay(3, BACK_OFF, 0.999_999)).toBe(1_000);
  });

  it('when an attempt begins, then it counts and nobody else begins one within the lease', () => {
    const begun = claimed(newDelivery('id', 'http', NOW), 'me', NOW, 60_000);
    expect(begun).toMatchObject({
      state: 'pending',
      attempts: 1,
      claim: 'me',
      nextAttemptAt: '2026-11-23T10:01:00.000Z',
    });
  });

  it('when the sink asks for more patience than the back-off, then it gets it', () => {
    const begun = claimed(newDelivery('id', 'http', NOW), 'me', NOW, 60_000);
    const ended = settled(begun, { kind: 'retry', error: 'busy', retryAfterMs: 120_000 }, NOW, BACK_OFF, 0);
    expect(ended).toMatchObject({
      state: 'pending',
      claim: null,
      lastError: 'busy',
      nextAttemptAt: '2026-11-23T10:02:00.000Z',
    });
  });

  it('when the sink refuses the record, then it is tried again after a long while', () => {
    const ended = settled(newDelivery('id', 'http', NOW), { kind: 'rejected', error: '422' }, NOW, BACK_OFF, 0);
    expect(ended).toMatchObject({ state: 'rejected', lastError: '422', nextAttemptAt: '2026-11-23T11:00:00.000Z' });
  });

  it('when the sink has it, then the receipt is kept and earlier errors are forgotten', () => {
    const failed = settled(newDelivery('id', 'http', NOW), { kind: 'retry', error: 'x' }, NOW, BACK_OFF, 0);
    const ended = settled(failed, { kind: 'delivered', receipt: { n: 1 } }, NOW, BACK_OFF, 0);
    expect(ended).toMatchObject({
      state: 'delivered',
      deliveredAt: NOW.toISOString(),
      receipt: { n: 1 },
      lastError: null,
    });
  });
});
