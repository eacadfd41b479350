import { createServer } from 'node:http';
import { SEQ } from './outside-world';

interface SeqEvent {
  Timestamp: string;
  Level: string;
  MessageTemplate: string;
  TraceId?: string;
  Properties: Record<string, unknown>;
}

/** A receiver of Seq's ingestion protocol (`POST /api/events/raw`), where the e2e instance sends its log. */
export interface SeqReceiver {
  events: SeqEvent[];
  /** What was not as Seq wants it: another path, a wrong key, no JSON. */
  faults: string[];
  behaviour: 'takes' | 'fails' | 'hangs';
  /** Posts that came, taken or not. */
  posts: number;
  close(): void;
}

export async function openSeqReceiver(): Promise<SeqReceiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      receiver.posts += 1;
      if (receiver.behaviour === 'hangs') return;
      if (receiver.behaviour === 'fails') return void response.writeHead(500).end('{"Error":"full"}');
      try {
        if (request.method !== 'POST' || request.url !== '/api/events/raw')
          throw new Error(`${request.method} ${request.url}`);
        if (request.headers['x-seq-apikey'] !== SEQ.apiKey) throw new Error('a wrong API key');
        receiver.events.push(...(JSON.parse(Buffer.concat(chunks).toString()) as { Events: SeqEvent[] }).Events);
        response.writeHead(201, { 'Content-Type': 'application/json' }).end('{}');
      } catch (error) {
        receiver.faults.push(String(error));
        response.writeHead(400).end();
      }
    });
  });
  const receiver: SeqReceiver = {
    events: [],
    faults: [],
    behaviour: 'takes',
    posts: 0,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  server.listen(SEQ.port, '127.0.0.1');
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
  return receiver;
}
