import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

interface SeqEvent {
  Timestamp: string;
  Level: string;
  MessageTemplate: string;
  TraceId?: string;
  Properties: Record<string, unknown>;
}

/** A receiver of Seq's ingestion protocol (`POST /api/events/raw`). */
export interface SeqReceiver {
  url: string;
  events: SeqEvent[];
  /** What was not as Seq wants it: another path, a wrong key, no JSON. */
  faults: string[];
  behaviour: 'takes' | 'fails' | 'hangs';
  /** Posts that came, taken or not. */
  posts: number;
  /** Of each of them. */
  headers: IncomingHttpHeaders[];
  close(): void;
}

/** @param at any free port, and any key, when it names none */
export async function openSeqReceiver(at: { port?: number; apiKey?: string } = {}): Promise<SeqReceiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      receiver.posts += 1;
      receiver.headers.push(request.headers);
      if (receiver.behaviour === 'hangs') return;
      if (receiver.behaviour === 'fails') return void response.writeHead(500).end('{"Error":"full"}');
      try {
        if (request.method !== 'POST' || request.url !== '/api/events/raw')
          throw new Error(`${request.method} ${request.url}`);
        if (at.apiKey !== undefined && request.headers['x-seq-apikey'] !== at.apiKey)
          throw new Error('a wrong API key');
        receiver.events.push(...(JSON.parse(Buffer.concat(chunks).toString()) as { Events: SeqEvent[] }).Events);
        response.writeHead(201, { 'Content-Type': 'application/json' }).end('{}');
      } catch (error) {
        receiver.faults.push(String(error));
        response.writeHead(400).end();
      }
    });
  });
  const receiver: SeqReceiver = {
    url: '',
    events: [],
    headers: [],
    faults: [],
    behaviour: 'takes',
    posts: 0,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  server.listen(at.port ?? 0, '127.0.0.1');
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return receiver;
}
