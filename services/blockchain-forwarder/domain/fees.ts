/** Of a transaction as EIP-1559 has it, in wei. */
export interface Fees {
  maxFeePerGas: bigint;
  maxPriorityFeePerGas: bigint;
}

/** What the chain asks at present. */
export interface FeeMarket {
  baseFee: bigint;
  tip: bigint;
}

/** Lasts for six full blocks in a row, each of which raises the base fee by an eighth. */
export function present({ baseFee, tip }: FeeMarket): Fees {
  return { maxFeePerGas: 2n * baseFee + tip, maxPriorityFeePerGas: tip };
}

/** What nodes demand before they let one transaction take another's place: 10 %, some 12.5 %. */
function eighthMore(fee: bigint): bigint {
  return (fee * 9n + 7n) / 8n;
}

/**
 * Fees with which a transaction is taken soon, and takes the place of those before it at its nonce; null where that is
 * not to be had within the cap.
 */
export function feesWithin(cap: bigint, market: FeeMarket, before: readonly Fees[]): Fees | null {
  const { maxFeePerGas, maxPriorityFeePerGas } = present(market);
  const leastMax = greatest(before.map((fees) => eighthMore(fees.maxFeePerGas)));
  const leastTip = greatest(before.map((fees) => eighthMore(fees.maxPriorityFeePerGas)));
  if (leastMax > cap || leastTip > cap || market.baseFee > cap) return null;
  const max = least(greatest([maxFeePerGas, leastMax, leastTip]), cap);
  return { maxFeePerGas: max, maxPriorityFeePerGas: least(greatest([maxPriorityFeePerGas, leastTip]), max) };
}

export function inGwei(wei: bigint): string {
  const thousandths = (wei + 500_000n) / 1_000_000n;
  return (Number(thousandths) / 1_000).toString();
}

const greatest = (amounts: readonly bigint[]): bigint =>
  amounts.reduce((most, each) => (each > most ? each : most), 0n);
const least = (one: bigint, other: bigint): bigint => (one < other ? one : other);
