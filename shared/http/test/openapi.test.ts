import { Validator } from '@seriousme/openapi-schema-validator';
import { z } from 'zod';
import { openApiDocument } from '../openapi';
import { pageQuery } from '../paging';
import { route } from '../route';

const pool = z.object({ id: z.uuid(), name: z.string() }).meta({ id: 'Pool' });

const routes = [
  route({
    method: 'get',
    path: '/resource_pools',
    summary: 'Lists pools',
    access: { permission: 'resource_pool:list' },
    query: z.object({ ...pageQuery, name: z.string().optional() }),
    responses: { 200: z.array(pool) },
    handle: async () => ({ status: 200, body: [] }),
  }),
  route({
    method: 'put',
    path: '/resource_pools/{pool_id}',
    summary: 'Changes a pool',
    access: { permission: 'resource_pool:update' },
    params: z.object({ pool_id: z.uuid() }),
    body: z.strictObject({ name: z.string() }),
    headers: { 'If-Match': 'The ETag that was read.' },
    responses: { 200: pool },
    errors: ['pool.not_found', 'request.precondition_failed'],
    handle: async () => ({ status: 200 }),
  }),
  route({
    method: 'delete',
    path: '/resource_pools/{pool_id}',
    summary: 'Deletes a pool',
    access: { permission: 'resource_pool:delete' },
    params: z.object({ pool_id: z.uuid() }),
    responses: { 204: null },
    handle: async () => ({ status: 204 }),
  }),
  route({
    method: 'get',
    path: '/internal/resource_pools',
    summary: 'For services only',
    access: { callers: ['task-runner'] },
    responses: { 200: z.array(pool) },
    handle: async () => ({ status: 200 }),
  }),
  route({
    method: 'get',
    path: '/keys',
    summary: 'For everybody',
    access: 'public',
    responses: { 200: z.array(z.string()) },
    handle: async () => ({ status: 200, body: [] }),
  }),
];

interface Document {
  openapi: string;
  paths: Record<
    string,
    Record<
      string,
      { operationId: string; security: unknown; parameters: { name: string; in: string }[]; responses: object }
    >
  >;
}

const document = openApiDocument('resource-pool', routes) as Document;

test('the document is valid OpenAPI 3.1', async () => {
  const result = await new Validator().validate({ ...document });
  expect(result.errors ?? []).toEqual([]);
  expect(result.valid).toBe(true);
  expect(document.openapi).toMatch(/^3\.1\./);
});

test('it lists what the schemas accept, with parameters, headers, permission and codes', () => {
  const list = document.paths['/resource_pools']!['get']!;
  expect(list.parameters.map(({ name }) => name).sort()).toEqual(['cursor', 'limit', 'name']);
  expect(list.security).toEqual([{ bearer: [] }]);
  const change = document.paths['/resource_pools/{pool_id}']!['put']!;
  expect(change.parameters.map((field) => `${field.in} ${field.name}`).sort()).toEqual([
    'header If-Match',
    'path pool_id',
  ]);
  expect(Object.keys(change.responses)).toEqual(['200', '400', '401', '403', '413', '415', '429', '503', 'default']);
  expect(JSON.stringify(change)).toContain('pool.not_found');
});

test('a route that is open to everybody asks for no token', () => {
  const keys = document.paths['/keys']!['get']!;
  expect(keys).not.toHaveProperty('security');
  expect(Object.keys(keys.responses)).toEqual(['200', '400', '503']);
});

test('routes that are for sidecars are not in it, and no two operations share an id', () => {
  expect(Object.keys(document.paths)).toEqual(['/resource_pools', '/resource_pools/{pool_id}', '/keys']);
  const ids = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map(({ operationId }) => operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
});
