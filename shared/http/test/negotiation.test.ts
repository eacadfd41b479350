import request from 'supertest';
import { z } from 'zod';
import { testApp } from '../../testing/api';
import { openApiDocument } from '../openapi';
import { route } from '../route';

const read = jest.fn();
const routes = [
  route({
    method: 'get',
    path: '/both',
    summary: 'In either',
    access: 'public',
    responses: { 200: z.array(z.string()) },
    alternatives: { 'text/csv': z.string() },
    handle: ({ mediaType }) =>
      Promise.resolve(
        mediaType === 'text/csv'
          ? {
              status: 200,
              stream: (async function* () {
                read();
                yield await Promise.resolve('a\r\n');
              })(),
            }
          : { status: 200, body: ['a'] },
      ),
  }),
  route({
    method: 'get',
    path: '/one',
    summary: 'In one',
    access: 'public',
    responses: { 200: z.array(z.string()) },
    handle: ({ mediaType }) => Promise.resolve({ status: 200, body: [mediaType] }),
  }),
];
const get = async (path: string, accept?: string) => {
  const asked = request(await testApp(routes)).get(path);
  return accept === undefined ? asked : asked.set('accept', accept);
};

test.each([
  [undefined, 'application/json'],
  ['*/*', 'application/json'],
  ['application/json', 'application/json'],
  ['text/csv', 'text/csv'],
  ['TEXT/CSV', 'text/csv'],
  ['text/*', 'text/csv'],
  ['text/csv; charset=utf-8', 'text/csv'],
  ['text/csv;q=0.1, application/json;q=0.9', 'application/json'],
  ['application/json;q=0.1, text/csv', 'text/csv'],
  ['application/json;q=0, */*', 'text/csv'],
  ['text/html, application/xhtml+xml, */*;q=0.8', 'application/json'],
])('when a client accepts %s, then it is answered in %s', async (accept, type) => {
  const response = await get('/both', accept);
  expect(response.status).toBe(200);
  expect(response.headers['content-type']).toBe(`${type}; charset=utf-8`);
  expect(response.headers['vary']).toBe('Accept');
});

test.each(['application/xml', 'text/csv;q=0', 'application/vnd.ms-excel, text/html'])(
  'when a client accepts only %s, then 406 names what there is',
  async (accept) => {
    const response = await get('/both', accept);
    expect(response.status).toBe(406);
    expect(response.body).toMatchObject({
      code: 'request.not_acceptable',
      title: 'Not Acceptable',
      offered: ['application/json', 'text/csv'],
    });
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
  },
);

test('when a route has one media type only, then Accept changes nothing', async () => {
  const response = await get('/one', 'text/csv');
  expect([response.status, response.body]).toEqual([200, ['application/json']]);
  expect(response.headers['vary']).toBeUndefined();
});

test('when only the headers are asked for, then the stream is not read', async () => {
  read.mockClear();
  const response = await request(await testApp(routes))
    .head('/both')
    .set('accept', 'text/csv');
  expect([response.status, response.headers['content-type']]).toEqual([200, 'text/csv; charset=utf-8']);
  expect(read).not.toHaveBeenCalled();
});

test('the OpenAPI document shows every media type, and 406', () => {
  const { paths } = openApiDocument('test', routes) as {
    paths: Record<string, { get: { responses: Record<string, { content: object }> } }>;
  };
  const { responses } = paths['/both']!.get;
  expect(responses['200']?.content).toMatchObject({
    'application/json': { schema: { type: 'array' } },
    'text/csv': { schema: { type: 'string' } },
  });
  expect(responses['406']).toBeDefined();
  expect(paths['/one']!.get.responses['406']).toBeUndefined();
});
