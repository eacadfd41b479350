import { z } from 'zod';

/** Field types that requests, responses and events have in common. */

/** Read in either case, kept and answered in lower case (RFC 9562 §4). */
export const uuid = z.uuid().toLowerCase().meta({ example: '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11' });

/** RFC 3339 in UTC with milliseconds, for example `2026-11-23T09:30:00.000Z`. */
export const timestamp = z.iso.datetime().meta({ example: '2026-11-23T09:30:00.000Z' });
/** A moment that a caller gives, RFC 3339 in any zone; parsed, it is in UTC with milliseconds, as stored ones are. */
export const instant = z.iso
  .datetime({ offset: true })
  .transform((time) => new Date(time).toISOString())
  .meta({ example: '2026-11-23T09:30:00Z' });

/** ISO 8601 duration as `shared/contracts/duration.ts` writes it, for example `PT1H3M20S`. */
export const duration = z
  .string()
  .regex(/^PT(?=\d)(\d+H)?(\d+M)?(\d+(\.\d{1,3})?S)?$/)
  .meta({ example: 'PT1H3M20S' });

/** Units of a pool's resource: a positive integer that survives JSON in every language (below 2^53). */
export const capacity = z.int().min(1, 'must be a whole number of at least 1').meta({ example: 4 });

/** A name that people read: 1 to 200 characters, no control characters, no blank at either end. */
export const displayName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}\u2028\u2029]+$/u, 'must not hold control characters')
  .refine((text) => text === text.trim(), 'must not start or end with a blank')
  .meta({ example: 'gpu-a100' });

/** How long a request may wait for what is not there at once: whole seconds, a day at most; 0 is not at all. */
export const waitSeconds = z.int().min(0).max(86_400).meta({ example: 600 });

/** Who goes first among those who wait: the larger; 0 unless told. */
export const priority = z.int().min(-1000).max(1000).meta({ example: 10 });

/** For how long something is held without a renewal: whole seconds, 30 days at most. */
export const leaseSeconds = z.int().min(1).max(2_592_000).meta({ example: 300 });
