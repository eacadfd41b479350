import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi';
import { problemSchema } from './problem';
import type { Route } from './route';

/** Codes that any closed route may answer with, beside its own. */
const COMMON_ERRORS: Record<string, string> = {
  '400': 'request.invalid, request.malformed_json: names every bad field',
  '401': 'auth.token_missing, auth.token_invalid, auth.token_expired',
  '403': 'auth.forbidden: the token lacks the permission',
  '429': 'request.rate_limited: send fewer requests a second; try again after Retry-After',
  '503': 'a dependency is down; try again after Retry-After',
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
    ...(access === undefined ? {} : { description: `Permission: \`${access}\``, security: [{ bearer: [] }] }),
    ...(Object.keys(requestParams).length > 0 ? { requestParams } : {}),
    ...(route.body ? { requestBody: { required: true, content: { 'application/json': { schema: route.body } } } } : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.responses).map(([status, schema]) => [
          status,
          schema === null
            ? { description: 'Done' }
            : {
                description: 'Success',
                content: { [route.mediaType ?? 'application/json']: { schema }, ...alternativesOf(route) },
              },
        ]),
      ),
      ...(route.alternatives ? { '406': problem('request.not_acceptable: names the media types that there are') } : {}),
      ...Object.fromEntries(
        Object.entries({ ...COMMON_ERRORS, ...(route.body ? BODY_ERRORS : {}) }).map(([status, text]) => [
          status,
          problem(text),
        ]),
      ),
      ...(route.errors ? { default: problem(`Further codes: ${route.errors.join(', ')}`) } : {}),
    },
  };
}

function alternativesOf({ alternatives = {} }: Route): Record<string, { schema: z.ZodType }> {
  return Object.fromEntries(Object.entries(alternatives).map(([type, schema]) => [type, { schema }]));
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
