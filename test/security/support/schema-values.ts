import fc from 'fast-check';

/** A JSON Schema as the OpenAPI documents use it. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  default?: unknown;
}
export type Schemas = Record<string, Schema>;

/** Stands for the id of something that is there, for a field of that name; what sends it puts one in its place. */
export const KNOWN_ID = /\{\{(\w+):(\d+)\}\}/g;
const knownId = (name: string): fc.Arbitrary<string> =>
  fc.nat({ max: 10_000 }).map((number) => `{{${name}:${number}}}`);
const moment = fc
  .date({ min: new Date('2026-11-01'), max: new Date('2026-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString());

/** What has broken other services: where a schema wants something else, it must be refused and do nothing. */
const HOSTILE = [
  ...['', ' ', '0', '-1', 'null', 'true', '\0', 'a\nb', '\r\nX-Forged: 1', '\u001b[31m', '\ud800', '\u2028', '💥', 'ﬀ'],
  ...[
    '__proto__',
    'constructor',
    'hasOwnProperty',
    '../../etc/passwd',
    "' OR '1'='1",
    '"; DROP TABLE state; --',
    '%00',
  ],
  ...[
    '{"$gt":""}',
    '${7*7}',
    '{{',
    '<script>alert(1)</script>',
    '1e400',
    'NaN',
    '٣',
    'a'.repeat(9_000),
    `${'a'.repeat(300)}!`,
  ],
];
export const hostileText = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary', maxLength: 40 }));
const hostile: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom(null, true, false, 0, -1, 1.5, 2 ** 53, -(2 ** 53), 1e308, 2 ** 31, [], {}, [[]], [null], {
    $ne: null,
  }),
  fc.constant(nested(200)),
  fc.jsonValue({ maxDepth: 3 }),
);
const STRANGE_KEYS = ['__proto__', 'constructor', 'prototype', 'toString', 'unknown', '', 'a.b', 'admin', 'sub', 'id'];

function nested(depth: number): unknown {
  return depth === 0 ? 1 : [nested(depth - 1)];
}

/** Without the classes of Unicode, for which fast-check has no generator: what it makes of it still fits, if less widely. */
function plain(pattern: string): RegExp {
  return new RegExp(pattern.replace(/\[\^[^\]]*\\p\{[^\]]*\]/g, '[a-zA-Z0-9 äß漢-]'));
}

function texts(schema: Schema, name: string): fc.Arbitrary<unknown> {
  if (schema.format === 'uuid') {
    return fc.oneof({ weight: 6, arbitrary: knownId(name) }, { weight: 1, arbitrary: fc.uuid() });
  }
  if (schema.format === 'date-time') return moment;
  const { minLength = 0, maxLength = 40 } = schema;
  const fits = (text: string) => text.length >= minLength && text.length <= maxLength;
  if (schema.pattern !== undefined) {
    return fc.oneof(fc.constantFrom('a', 'name-1', 'gpu').filter(fits), fc.stringMatching(plain(schema.pattern)));
  }
  const letters = fc.stringMatching(/^[a-z][a-z0-9 ]{0,12}[a-z0-9]$/).filter(fits);
  return fc.oneof(
    letters,
    fc.constantFrom('demo', 'brief', 'GPU', 'here'),
    knownId(name),
    fc.string({ minLength, maxLength }),
  );
}

function numbers({ minimum = -1000, maximum = 1000, type }: Schema): fc.Arbitrary<unknown> {
  const [min, max] = [Math.max(Math.ceil(minimum), -(2 ** 53) + 1), Math.min(Math.floor(maximum), 2 ** 53 - 1)];
  const small = fc.integer({ min, max: Math.min(max, min + 20) });
  const least = fc.integer({ min, max: Math.min(max, min + 2) });
  const any = type === 'integer' ? fc.constantFrom(min, max) : fc.double({ min, max, noNaN: true });
  return fc.oneof({ weight: 6, arbitrary: small }, { weight: 4, arbitrary: least }, fc.constantFrom(min, max), any);
}

function objects(schema: Schema, schemas: Schemas): fc.Arbitrary<unknown> {
  const fields = Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const value = valuesOf(field, schemas, name).map((given) => [[name, given]] as [string, unknown][]);
    const none = fc.constant<[string, unknown][]>([]);
    const required = schema.required?.includes(name) === true;
    return fc.oneof({ weight: required ? 60 : 2, arbitrary: value }, { weight: required ? 1 : 3, arbitrary: none });
  });
  const strange = fc
    .tuple(fc.constantFrom(...STRANGE_KEYS), hostile)
    .map(([name, value]) => [[name, value]] as [string, unknown][]);
  const extra = fc.oneof(
    { weight: 15, arbitrary: fc.constant<[string, unknown][]>([]) },
    { weight: 1, arbitrary: strange },
  );
  const more =
    typeof schema.additionalProperties === 'object'
      ? fc.array(fc.tuple(fc.constantFrom('a', 'zone', 'b-1'), valuesOf(schema.additionalProperties, schemas)), {
          maxLength: 2,
        })
      : fc.constant<[string, unknown][]>([]);
  // fromEntries makes own properties of all, `__proto__` too
  return fc.tuple(...fields, more, extra).map((parts) => Object.fromEntries(parts.flat()) as unknown);
}

function proper(schema: Schema, schemas: Schemas, name: string): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) return proper(schemas[schema.$ref.split('/').at(-1)!] ?? {}, schemas, name);
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const either = schema.anyOf ?? schema.oneOf;
  if (either) return fc.oneof(...either.map((each) => valuesOf(each, schemas, name)));
  const type = [schema.type].flat()[0];
  switch (type) {
    case 'string':
      return texts(schema, name);
    case 'integer':
    case 'number':
      return numbers(schema);
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(valuesOf(schema.items ?? {}, schemas, name), { minLength: schema.minItems ?? 0, maxLength: 4 });
    case 'object':
      return objects(schema, schemas);
    default:
      return hostile;
  }
}

/** Values that a schema allows, and now and then, at any place in them, one that it may not. */
export function valuesOf(schema: Schema, schemas: Schemas, name = 'id'): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 40, arbitrary: proper(schema, schemas, name) }, { weight: 1, arbitrary: hostile });
}
