import type { z } from 'zod';
import { exampleOf } from '../../shared/http/example';
import { openApiDocument } from '../../shared/http/openapi';
import { ALL_ROUTES, ROUTES } from './route-tables';

/** What a client's author finds in the OpenAPI documents: a name, a group and true examples of each operation. */

interface Content {
  content?: Record<string, { example?: unknown }>;
}
interface Operation {
  summary?: string;
  operationId?: string;
  tags?: string[];
  requestBody?: Content;
  responses: Record<string, Content>;
}
type Document = { paths: Record<string, Record<string, Operation>> };

const documents = Object.fromEntries(
  Object.entries(ROUTES).map(([service, routes]) => [service, openApiDocument(service, routes) as Document]),
);
const operations = ALL_ROUTES.flatMap((each) => {
  const operation = documents[each.service]!.paths[each.route.path]?.[each.route.method];
  return operation ? [{ ...each, operation }] : [];
});

/** Where an example is missing: the innermost parts that have none. */
function gaps(schema: z.core.$ZodType, place: string): string[] {
  if (exampleOf(schema) !== undefined) return [];
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'object':
      return Object.entries(def.shape).flatMap(([name, part]) => gaps(part, `${place}.${name}`));
    case 'array':
      return gaps(def.element, `${place}[]`);
    case 'optional':
    case 'nullable':
      return gaps(def.innerType, place);
    default:
      return [place];
  }
}

/** What a route takes and answers, and the example of it that its document shows. */
function contents({ route, operation }: (typeof operations)[number]) {
  const shownBy = (content: Content | undefined, type = 'application/json') => content?.content?.[type]?.example;
  const answered = Object.entries(route.responses).map(([status, schema]) => ({
    place: status,
    schema,
    example: shownBy(operation.responses[status], route.mediaType),
  }));
  const alternatives = Object.entries(route.alternatives ?? {}).map(([type, schema]) => ({
    place: type,
    schema,
    example: shownBy(operation.responses['200'], type),
  }));
  const taken = { place: 'body', schema: route.body ?? null, example: shownBy(operation.requestBody) };
  return [taken, ...answered, ...alternatives].flatMap(({ schema, ...rest }) => (schema ? [{ schema, ...rest }] : []));
}

test.each(operations)('$name shows a true example of each thing that it takes and answers', (each) => {
  const parts = contents(each);
  expect(parts.flatMap(({ schema, place }) => gaps(schema, place))).toEqual([]);
  expect(
    parts.flatMap(({ schema, place, example }) => {
      const { error } = schema.safeParse(example);
      return error ? [{ place, example, issues: error.issues }] : [];
    }),
  ).toEqual([]);
});

test('each has a summary, a group, and a name that no other operation has', () => {
  expect(operations.filter(({ operation }) => !operation.summary || operation.tags?.length !== 1)).toEqual([]);
  const names = operations.map(({ operation }) => operation.operationId ?? '');
  expect(names.filter((name) => !/^(get|post|put|delete)([A-Z][a-z]+)+$/.test(name))).toEqual([]);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
