import { eighthMore, feesWithin, inGwei, present } from '../domain/fees';
import { retryDelay } from '../domain/delivery';

const fees = (maxFeePerGas: bigint, maxPriorityFeePerGas: bigint) => ({ maxFeePerGas, maxPriorityFeePerGas });
const MARKET = { baseFee: 100n, tip: 4n };

describe('what is offered to the chain', () => {
  it('when nothing waits at the nonce, then twice the base fee and the tip', () => {
    expect(present(MARKET)).toEqual(fees(204n, 4n));
    expect(feesWithin(1_000n, MARKET, [])).toEqual(fees(204n, 4n));
  });

  it.each([
    ['another waits with less: what is asked anyway', 1_000n, [fees(100n, 1n)], fees(204n, 4n)],
    ['another waits with more: an eighth more than that', 1_000n, [fees(400n, 16n)], fees(450n, 18n)],
    ['several wait: an eighth more than the most of each', 1_000n, [fees(400n, 8n), fees(8n, 16n)], fees(450n, 18n)],
    ['its tip is above what is asked in all: as much in all', 1_000n, [fees(8n, 400n)], fees(450n, 450n)],
    ['the cap is below what is asked, but above the base fee: the cap', 150n, [], fees(150n, 4n)],
    ['the cap is what the chain takes at the least', 100n, [], fees(100n, 4n)],
    ['the cap is what replaces the other', 450n, [fees(400n, 8n)], fees(450n, 9n)],
    ['the base fee is above the cap', 99n, [], null],
    ['the other cannot be outbid within the cap', 449n, [fees(400n, 8n)], null],
    ['nor can its tip', 449n, [fees(8n, 400n)], null],
  ])('when %s', (_, cap, before, offered) => {
    expect(feesWithin(cap, MARKET, before)).toEqual(offered);
  });

  it('when the tip is above the cap, then the tip is the cap', () => {
    expect(feesWithin(50n, { baseFee: 10n, tip: 80n }, [])).toEqual(fees(50n, 50n));
  });

  it('when a fee is raised, then by an eighth, rounded up', () => {
    expect([0n, 1n, 8n, 9n, 16n].map(eighthMore)).toEqual([0n, 2n, 9n, 11n, 18n]);
  });

  it('when people are told, then in gwei to three places', () => {
    expect([0n, 499_999n, 500_000n, 1_500_000_000n, 12_345_678_901n].map(inGwei)).toEqual([
      '0',
      '0',
      '0.001',
      '1.5',
      '12.346',
    ]);
  });
});

describe('how long to wait after failures', () => {
  const BACK_OFF = { firstMs: 100, capMs: 1_000 };

  it('when it fails again and again, then twice as long each time, up to the cap', () => {
    expect([1, 2, 3, 4, 5, 5_000].map((failures) => retryDelay(failures, BACK_OFF, 0))).toEqual([
      ...[100, 200, 400, 800, 1_000, 1_000],
    ]);
    expect(retryDelay(0, BACK_OFF, 0)).toBe(100);
    expect(retryDelay(5_000, { firstMs: 1, capMs: Infinity }, 0)).toBe(2 ** 30);
  });

  it('when several failed together, then chance takes off up to half', () => {
    expect([0, 0.5, 0.999].map((random) => retryDelay(1, BACK_OFF, random))).toEqual([100, 75, 50]);
  });
});
