import fc from 'fast-check';
import { hostileText, valuesOf, type Schema, type Schemas } from './schema-values';

export interface Operation {
  parameters?: { in: 'path' | 'query' | 'header'; name: string; required?: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Schema }> }>;
}
export interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas?: Schemas };
}

export interface WireRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
}

type Pair = [name: string, value: string];

/** Every byte that is no letter or digit as `%xx`, also of texts that are no Unicode; a known id stays readable. */
function percent(text: string): string {
  if (/^\{\{\w+:\d+\}\}$/.test(text)) return text;
  return Buffer.from(text)
    .toString('latin1')
    .replace(/[^\w.-]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

const BROKEN_SEGMENTS = ['%', '%zz', '%ff', '%00', '..', '.', '', '..%2f..%2f', ';a=b', '*', '__proto__', '%E2%80%AE'];
const BROKEN_QUERIES = [
  '&&&',
  '=',
  '%=%',
  'limit[]=1',
  'limit[__proto__]=1',
  '__proto__[a]=1',
  'a=1&a=2',
  'limit=1&limit=2',
];
const MALFORMED = [
  '',
  '{',
  '[',
  '"',
  'null',
  '1',
  '{"a":1}}',
  '\ufeff{}',
  '{"a":1,"a":2}',
  "{'a':1}",
  '[[[[',
  '{"__proto__":{"x":1}}',
];
const TYPES = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'application/json; charset=utf-16',
  'multipart/form-data',
  'x',
];

const rarely = <T>(weight: number, usual: fc.Arbitrary<T>, rare: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: rare });

const textOf = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
// what Node's client would not send is for the tests that write to the socket themselves
const headerText = (value: unknown): string =>
  textOf(value)
    .replace(/[^\x20-\x7e\xa1-\xff]/g, '?')
    .slice(0, 2_000);

/** Requests to an operation, from what its OpenAPI document says of it: most fit, the others are near it, or broken. */
export function requestsTo(
  path: string,
  method: string,
  operation: Operation,
  schemas: Schemas,
): fc.Arbitrary<WireRequest> {
  const parameters = operation.parameters ?? [];
  const isPath = ({ in: where }: { in: string }) => where === 'path';
  const segment = (schema: Schema, name: string): fc.Arbitrary<string> =>
    rarely(
      25,
      valuesOf(schema, schemas, name).map((value) => percent(textOf(value)) || '%20'),
      fc.oneof(fc.constantFrom(...BROKEN_SEGMENTS), hostileText.map(percent)),
    );
  const segments = fc.tuple(...parameters.filter(isPath).map(({ schema, name }) => segment(schema, name)));
  const names = parameters.filter(isPath).map(({ name }) => name);

  const query = fc
    .tuple(
      ...parameters
        .filter(({ in: where }) => where === 'query')
        .map(({ name, schema, required }) => {
          const given = valuesOf(schema, schemas).map((value) =>
            [value].flat().map((each): Pair => [name, textOf(each)]),
          );
          const none = fc.constant<Pair[]>([]);
          return fc.oneof(
            { weight: required ? 30 : 1, arbitrary: given },
            { weight: required ? 1 : 2, arbitrary: none },
          );
        }),
    )
    .map((pairs) =>
      pairs
        .flat()
        .map(([name, value]) => `${name}=${percent(value)}`)
        .join('&'),
    );

  const headers = fc
    .tuple(
      ...parameters
        .filter(({ in: where }) => where === 'header')
        .map(({ name }) => {
          const good = fc.constantFrom('"1"', '*', 'key-1', 'key-2', 'respond-async', '0', 'W/"1"', '"1", "2"');
          const value = rarely(4, good, hostileText.map(headerText));
          return fc.option(
            value.map((text): Pair => [name, text]),
            { nil: undefined, freq: 2 },
          );
        }),
      fc.option(
        fc
          .constantFrom('application/json', 'text/csv', '*/*', 'image/png', ';;;', 'text/csv;q=0')
          .map((type): Pair => ['Accept', type]),
        { nil: undefined, freq: 4 },
      ),
    )
    .map((pairs) => Object.fromEntries(pairs.filter((pair) => pair !== undefined)));

  const schema = operation.requestBody?.content['application/json']?.schema;
  const json =
    schema === undefined ? fc.constant(undefined) : valuesOf(schema, schemas).map((value) => JSON.stringify(value));
  const body = schema === undefined ? json : rarely<string | undefined>(20, json, fc.constantFrom(...MALFORMED));
  const type = rarely(30, fc.constant('application/json'), fc.constantFrom(...TYPES));

  return fc
    .record({ segments, query: rarely(20, query, fc.constantFrom(...BROKEN_QUERIES)), headers, body, type })
    .map((made) => {
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => made.segments[names.indexOf(name)] ?? '');
      return {
        method: method.toUpperCase(),
        path: made.query === '' ? filled : `${filled}?${made.query}`,
        headers: { ...made.headers, ...(made.body === undefined ? {} : { 'Content-Type': made.type }) },
        body: made.body,
      };
    });
}
