import { z } from 'zod';
import {
  createDocument,
  type ZodOpenApiMediaTypeObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
} from 'zod-openapi';
import { exampleOf } from './example';
import { problemSchema } from './problem';
import type { Route } from './route';

/** Codes that any route may answer with, beside its own. */
const COMMON_ERRORS: Record<string, string> = {
  '400': 'request.invalid, request.malformed_json: names every bad field',
  '503': 'a dependency is down; try again after Retry-After',
};
/** And those of a route that is not open to everybody. */
const CLOSED_ERRORS: Record<string, string> = {
  '401': 'auth.token_missing, auth.token_invalid, auth.token_expired',
  '403': 'auth.forbidden: the token lacks the permission',
  '429': 'request.rate_limited: send fewer requests a second; try again after Retry-After',
};

/** Codes beside those that a route with a body may answer with. */
const BODY_ERRORS: Record<string, string> = {
  '413': 'request.too_large',
  '415': 'request.unsupported_media_type: send JSON as UTF-8, uncompressed',
};

function operationOf(route: Route): ZodOpenApiOperationObject {
  const problem = (description: string) => ({
    description,
    content: { 'application/problem+json': { schema: problemSchema } },
  });
  const problems = (texts: Record<string, string>) =>
    Object.fromEntries(Object.entries(texts).map(([status, text]) => [status, problem(text)]));
  const access = typeof route.access === 'object' && 'permission' in route.access ? route.access.permission : undefined;
  const requestParams = {
    ...(route.params ? { path: route.params } : {}),
    ...(route.query ? { query: route.query } : {}),
    ...(route.headers
      ? {
          header: z.object(
            Object.fromEntries(
              Object.entries(route.headers).map(([name, description]) => [
                name,
                z.string().optional().meta({ description }),
              ]),
            ),
          ),
        }
      : {}),
  };
  return {
    summary: route.summary,
    operationId: `${route.method}${route.path.replace(/[^A-Za-z0-9]+(\w)?/g, (_, next: string | undefined) => next?.toUpperCase() ?? '')}`,
    tags: [access?.split(':')[0] ?? 'public'],
    ...(access === undefined ? {} : { description: `Permission: \`${access}\``, security: [{ bearer: [] }] }),
    ...(Object.keys(requestParams).length > 0 ? { requestParams } : {}),
    ...(route.body ? { requestBody: { required: true, content: { 'application/json': shown(route.body) } } } : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.responses).map(([status, schema]) => [
          status,
          schema === null
            ? { description: 'Done' }
            : {
                description: 'Success',
                content: { [route.mediaType ?? 'application/json']: shown(schema), ...alternativesOf(route) },
              },
        ]),
      ),
      ...(route.alternatives ? { '406': problem('request.not_acceptable: names the media types that there are') } : {}),
      ...problems(COMMON_ERRORS),
      ...(access === undefined ? {} : problems(CLOSED_ERRORS)),
      ...(route.body ? problems(BODY_ERRORS) : {}),
      ...(route.errors ? { default: problem(`Further codes: ${route.errors.join(', ')}`) } : {}),
    },
  };
}

function shown(schema: z.ZodType): ZodOpenApiMediaTypeObject {
  const example = exampleOf(schema);
  return { schema, ...(example === undefined ? {} : { example }) };
}

function alternativesOf({ alternatives = {} }: Route): Record<string, ZodOpenApiMediaTypeObject> {
  return Object.fromEntries(Object.entries(alternatives).map(([type, schema]) => [type, shown(schema)]));
}

/** The OpenAPI 3.1 document of a service's public routes, from the schemas that validate its requests. */
export function openApiDocument(service: string, routes: readonly Route[]): object {
  const paths: ZodOpenApiPathsObject = {};
  for (const route of routes) {
    if (typeof route.access === 'object' && 'callers' in route.access) continue;
    paths[route.path] = { ...paths[route.path], [route.method]: operationOf(route) };
  }
  return createDocument({
    openapi: '3.1.0',
    info: { title: `Resource Manager: ${service}`, version: '1.0.0' },
    components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
    paths,
  });
}
