import express from 'express';
import type { AddressInfo } from 'node:net';
import { serverOf } from '../server';

test('requests and responses have the prototypes that Express would give them from the start, and all that Express adds', async () => {
  const app = express();
  const prototypes: boolean[] = [];
  app.get('/things/:id', (request, response) => {
    prototypes.push(Object.getPrototypeOf(request) === app.request, Object.getPrototypeOf(response) === app.response);
    response.status(201).json({ id: request.params['id'], app: request.app === app, host: request.get('host') });
  });
  const server = serverOf(app);
  const made: unknown[] = [];
  server.prependListener('request', (request, response) =>
    made.push(Object.getPrototypeOf(request), Object.getPrototypeOf(response)),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}/things/7`);
  expect([answer.status, await answer.json()]).toEqual([201, { id: '7', app: true, host: `127.0.0.1:${port}` }]);
  expect(made).toEqual([app.request, app.response]);
  expect(prototypes).toEqual([true, true]);
  await new Promise((resolve) => server.close(resolve));
});
