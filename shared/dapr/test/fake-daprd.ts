import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connectSidecar, type Sidecar } from '../sidecar';

interface Call {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: unknown;
}

export interface FakeDaprd {
  answer: (call: Call) => { status?: number; body?: unknown; text?: string; hang?: boolean };
  healthy: boolean;
  components: { name: string; type: string }[];
  calls: Call[];
  sidecar: Sidecar;
  /** One that waits for an answer no longer than 0.2 s. */
  hasty: Sidecar;
}

/** A sidecar that answers what the test says, new for each test. What the real one answers is held by test/e2e. */
export function useFakeDaprd(): FakeDaprd {
  const daprd = {} as FakeDaprd;
  let server: Server;

  beforeEach(async () => {
    server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        const call = {
          method: request.method!,
          path: request.url!,
          headers: request.headers,
          body: text === '' ? undefined : (JSON.parse(text) as unknown),
        };
        // the SDK asks for the sidecar's metadata before its first call
        if (call.path === '/v1.0/metadata')
          return void response
            .setHeader('Content-Type', 'application/json')
            .end(JSON.stringify({ id: 'test', components: daprd.components }));
        if (call.path.includes('/healthz')) return void response.writeHead(daprd.healthy ? 204 : 500).end();
        daprd.calls.push(call);
        const { status = 200, body, text: plain, hang } = daprd.answer(call);
        if (hang) return;
        response
          .writeHead(status, plain === undefined ? { 'Content-Type': 'application/json' } : {})
          .end(plain ?? JSON.stringify(body));
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    Object.assign(daprd, {
      calls: [],
      healthy: true,
      components: [],
      answer: () => ({ status: 204 }),
      sidecar: connectSidecar({ port, apiToken: 'sidecar-token', timeoutMs: 10_000 }),
      hasty: connectSidecar({ port, timeoutMs: 200 }),
    } satisfies FakeDaprd);
  });
  afterEach(async () => {
    await daprd.sidecar.close();
    await daprd.hasty.close();
    server.closeAllConnections();
    server.close();
  });
  return daprd;
}

/** What the work fails with. */
export async function failure(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => {
      throw new Error('it should have failed');
    },
    (error: Error) => error,
  );
}

export const daprError = (errorCode: string, message: string) => ({ status: 500, body: { errorCode, message } });
