import { AppError } from '../errors';
import type { Identity } from '../authz/authenticator';

/** Callers whose buckets are remembered; beyond it all are forgotten, and full again. */
const REMEMBERED = 10_000;

/** @throws AppError `request.rate_limited` (429) when this caller has used up what it may ask for now */
export type RateLimit = (caller: Identity) => void;

/**
 * A bucket of tokens for each caller: it holds two seconds' worth and fills with `perSecond`. Each process counts for
 * itself. Callers with the role `service` ask for many people and are not limited; 0 limits nobody.
 * @param now milliseconds of a clock that only goes forward
 */
export function createRateLimit(perSecond: number, now: () => number = () => performance.now()): RateLimit {
  if (perSecond === 0) return () => undefined;
  const size = 2 * perSecond;
  const buckets = new Map<string, { left: number; at: number }>();
  return ({ sub, roles }) => {
    if (roles.includes('service')) return;
    const at = now();
    let bucket = buckets.get(sub);
    if (!bucket) {
      if (buckets.size >= REMEMBERED) buckets.clear();
      bucket = { left: size, at };
      buckets.set(sub, bucket);
    }
    bucket.left = Math.min(size, bucket.left + ((at - bucket.at) / 1000) * perSecond);
    bucket.at = at;
    if (bucket.left < 1) {
      throw new AppError(
        'rate_limited',
        'request.rate_limited',
        `You may send ${perSecond} requests a second; wait, and send fewer at once.`,
        { retryAfter: (1 - bucket.left) / perSecond, facts: { per_second: perSecond } },
      );
    }
    bucket.left -= 1;
  };
}
