import { z } from 'zod';

/**
 * An example of what a schema takes, put together from the `meta({ example })` of its parts.
 * @returns undefined where a part that has no obvious one, as a text, has none
 */
export function exampleOf(schema: z.core.$ZodType): unknown {
  const told = z.globalRegistry.get(schema) as { example?: unknown } | undefined;
  if (told && 'example' in told) return told.example;
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'object':
      return together(Object.entries(def.shape).map(([name, part]) => [name, exampleOf(part)]));
    case 'array': {
      const element = exampleOf(def.element);
      return element === undefined ? undefined : [element];
    }
    case 'optional':
    case 'nullable':
      return exampleOf(def.innerType);
    case 'default':
      return def.defaultValue;
    case 'union':
      return def.options.map(exampleOf).find((example) => example !== undefined);
    case 'pipe':
      return exampleOf((def.in as z.core.$ZodTypes)._zod.def.type === 'transform' ? def.out : def.in);
    case 'enum':
      return Object.values(def.entries)[0];
    case 'literal':
      return def.values[0];
    case 'boolean':
      return false;
    case 'number':
      return 1;
    default:
      return undefined;
  }
}

/** A whole is only as good as each of its parts. */
function together(parts: [string, unknown][]): object | undefined {
  return parts.some(([, example]) => example === undefined) ? undefined : Object.fromEntries(parts);
}
