import { z } from 'zod';
import { displayName } from './fields';

/** What kind of resource a pool has, where, and its labels: as pools are described, and as they are asked for. */

export const resourceType = displayName
  .max(100)
  .meta({ example: 'GPU', description: 'An open set; GPU, CPU and Memory are the usual ones.' });
export const location = displayName.max(100).meta({ example: 'eu-west-1' });

const labelKey = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/,
    'must be 1 to 63 letters, digits and . _ / - between them',
  );
const labelValue = displayName.max(100);

export const labels = z
  .record(labelKey, labelValue)
  .refine((pairs) => Object.keys(pairs).length <= 32, 'must be 32 at most')
  .meta({ example: { team: 'vision', tier: 'spot' } });

/** `key:value`, several times for several labels that a pool must all have; a key holds no colon. */
const labelFilter = z.string().transform((text, context): [string, string] => {
  const colon = text.indexOf(':');
  const key = labelKey.safeParse(text.slice(0, Math.max(0, colon)));
  const value = labelValue.safeParse(text.slice(colon + 1));
  if (key.success && value.success) return [key.data, value.data];
  context.addIssue({ code: 'custom', message: 'must be key:value' });
  return z.NEVER;
});
export const labelFilters = z
  .preprocess((value) => [value].flat(), z.array(labelFilter).max(32))
  .meta({ description: '`key:value`; several times for several labels, all of which a pool must have.' });
