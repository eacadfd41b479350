import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Relay {
  url: string;
  /** The chain keeps its state while it is away. */
  away: boolean;
  /** Methods asked so far. */
  readonly asked: string[];
  stop(): void;
}

/** Between a sink and its chain. */
export async function startRelay(target: string): Promise<Relay> {
  const asked: string[] = [];
  const server = createServer((incoming, outgoing) => {
    if (relay.away) return void outgoing.destroy();
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks);
      asked.push(...[JSON.parse(body.toString()) as { method: string }].flat().map(({ method }) => method));
      const forward = httpRequest(target, { method: 'POST', headers: incoming.headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      forward.on('error', () => outgoing.destroy());
      forward.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const relay: Relay = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    away: false,
    asked,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return relay;
}
