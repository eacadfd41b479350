import { accessSync, constants, statSync } from 'node:fs';
import { z } from 'zod';

/** Kinds of variables that several need. A field says of itself, by `meta`: `description`, `allowed`, and `secret`. */

export const httpUrl = z.url({ protocol: /^https?$/ });
export const HTTP_URL = 'an http or https URL';

/** What an HTTP header can carry. */
export const headerText = z.string().regex(/^[\x21-\x7e]+$/);
export const HEADER_TEXT = 'printable ASCII without spaces';

export const fileToRead = z.string().refine(isReadable);
export const FILE_TO_READ = 'the path of a file that can be read';

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export interface Variable {
  description: string;
  /** Completes "must be". */
  allowed: string;
  /** Its value is shown nowhere. */
  isSecret: boolean;
  isNeeded: boolean;
  /** Undefined: there is none. */
  fallback: string | undefined;
}

/** What a field says of itself; numbers and words of a list say what is allowed without being told. */
export function variableOf(field: z.ZodType): Variable {
  const { description = '', allowed, secret } = field.meta() ?? {};
  const { default: fallback, ...schema } = z.toJSONSchema(field, { unrepresentable: 'any' });
  return {
    description,
    allowed: typeof allowed === 'string' ? allowed : ofSchema(schema),
    isSecret: secret === true,
    isNeeded: !field.safeParse(undefined).success,
    fallback: typeof fallback === 'number' ? String(fallback) : typeof fallback === 'string' ? fallback : undefined,
  };
}

function ofSchema({ type, enum: words, minimum, maximum }: z.core.JSONSchema.BaseSchema): string {
  if (words) return words.join(', ');
  if (minimum === undefined || maximum === undefined) return '';
  const number = type === 'integer' ? 'a whole number' : 'a number';
  return maximum === Number.MAX_SAFE_INTEGER
    ? `${number}, at least ${minimum}`
    : `${number} from ${minimum} to ${maximum}`;
}
