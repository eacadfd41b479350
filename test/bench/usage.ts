import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { USAGE_ENDED, type CloudEvent } from '../../shared/contracts/events';
import { connectSidecar } from '../../shared/dapr/sidecar';
import type { DevInfo } from '../../tools/dev-info';

const EVENTS = 2_000;
const BATCH = 500;

/** A BlockchainService that takes everything, and remembers which hashes it has. */
export interface Receiver {
  hashes: Set<string>;
  posts: number;
  server: Server;
}

export async function openReceiver(port: number): Promise<Receiver> {
  const receiver: Receiver = { hashes: new Set(), posts: 0, server: createServer() };
  receiver.server.on('request', (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      receiver.posts += 1;
      receiver.hashes.add((JSON.parse(Buffer.concat(chunks).toString()) as { usageHash: string }).usageHash);
      response.writeHead(201, { 'Content-Type': 'application/json' }).end('{"accepted":true}');
    });
  });
  receiver.server.listen(port, '127.0.0.1');
  await new Promise((resolve, reject) => receiver.server.once('listening', resolve).once('error', reject));
  return receiver;
}

/** Events of released allocations, from publishing to the `http` sink: broker, sidecar, record, hash, delivery. */
export async function benchUsage(system: DevInfo, receiver: Receiver, say: (line: string) => void): Promise<void> {
  await quiet(receiver);
  const before = receiver.hashes.size;
  const postsBefore = receiver.posts;
  const port = Number(new URL(system.services['allocation']!.daprHttpUrl).port);
  const sidecar = connectSidecar({ port, apiToken: system.daprApiToken });
  const events = Array.from({ length: EVENTS }, released);
  const started = performance.now();
  for (let sent = 0; sent < EVENTS; sent += BATCH) {
    await sidecar.publishBundle(USAGE_ENDED, events.slice(sent, sent + BATCH));
  }
  const published = (performance.now() - started) / 1000;
  const deadline = performance.now() + 300_000;
  while (receiver.hashes.size < before + EVENTS && performance.now() < deadline) await pause(20);
  const seconds = (performance.now() - started) / 1000;
  const arrived = receiver.hashes.size - before;
  await sidecar.close();
  say(
    `  published in bundles          ${(EVENTS / published).toFixed(1).padStart(8)}/s   (${EVENTS} in ${published.toFixed(1)} s)`,
  );
  say(
    `  published to delivered        ${(arrived / seconds).toFixed(1).padStart(8)}/s   (${arrived} of ${EVENTS} in ${seconds.toFixed(1)} s)`,
  );
  say(`  deliveries a record = ${((receiver.posts - postsBefore) / arrived).toFixed(3)}`);
}

/** Waits until the records of what ran before have been delivered. */
async function quiet(receiver: Receiver): Promise<void> {
  for (let still = 0; still < 20;) {
    const { posts } = receiver;
    await pause(200);
    still = posts === receiver.posts ? still + 1 : 0;
  }
}

function released(): CloudEvent<'allocation.released'> {
  const now = new Date().toISOString();
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'allocation',
    type: 'allocation.released',
    time: now,
    datacontenttype: 'application/json',
    data: {
      allocation_id: randomUUID(),
      resource_pool_id: randomUUID(),
      service_id: randomUUID(),
      capacity: 1,
      created_at: now,
      created_by: randomUUID(),
      task_id: null,
      released_at: now,
      duration: 'PT0S',
      end_reason: 'released',
      released_by: 'system',
    },
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
