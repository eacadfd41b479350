import http from 'node:http';
import fs from 'node:fs';
import type net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { engine } from './docker-relay';
import { system } from './system';

/** Before its request goes out; or when it is done, and the answer is not heard. */
export interface Point {
  step: string;
  moment: 'before' | 'after';
}

/** As much of a state transaction as a step is known by. */
interface Transaction {
  operations: { operation: string; request: { key: string; value?: { status?: string } } }[];
}

/**
 * Stands between a task-runner and what it works on, its sidecar and its Docker Engine, and knows each request by which a
 * start or a stop changes something: the steps. At a chosen one it strikes, and passes on nothing more of that request. So
 * the service dies at every step without knowing of tests.
 */
export class StepProxy {
  /** All steps so far, in order. */
  readonly steps: string[] = [];
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'step-proxy-'));
  private readonly topics = new Map<string, string>();
  private readonly servers: http.Server[] = [];
  private plan: (Point & { strike: () => void }) | undefined;

  async start(): Promise<void> {
    const { hostname: host, port } = new URL(system().services['task-runner']?.daprHttpUrl ?? '');
    const sidecar = this.serve({ host, port }, (request, body) => this.sidecarStep(request, body));
    const docker = this.serve(engine(), dockerStep);
    await new Promise<void>((resolve) => sidecar.listen(0, '127.0.0.1', resolve));
    await new Promise<void>((resolve) => docker.listen(this.socket, resolve));
  }

  /** What makes a task-runner go through here. */
  get env(): Record<string, string> {
    const { port } = this.servers[0]?.address() as net.AddressInfo;
    return { DAPR_HTTP_PORT: String(port), DOCKER_HOST: `unix://${this.socket}` };
  }

  /** Strikes once at that point. @returns when it has */
  strikeAt(point: Point, strike: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.plan = {
        ...point,
        strike: () => {
          strike();
          resolve();
        },
      };
    });
  }

  stop(): void {
    for (const server of this.servers) {
      server.close();
      server.closeAllConnections();
    }
    fs.rmSync(this.folder, { recursive: true });
  }

  private get socket(): string {
    return path.join(this.folder, 'docker.sock');
  }

  private serve(
    target: http.RequestOptions & { path?: string },
    stepOf: (request: http.IncomingMessage, body: string) => string | undefined,
  ): http.Server {
    const { path: socketPath, ...address } = target;
    const to = socketPath === undefined ? address : { socketPath };
    const pass = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
      const body = await buffer(request);
      const step = stepOf(request, body.toString());
      if (step !== undefined && this.strikes(step, 'before')) return;
      const { method, url, headers } = request;
      const far = http.request({ ...to, method, path: url, headers, agent: false }, (answer) => {
        if (step !== undefined && this.strikes(step, 'after')) return;
        if (step !== undefined) this.steps.push(step);
        response.writeHead(answer.statusCode ?? 500, answer.headers).flushHeaders();
        answer.pipe(response);
      });
      far.on('error', () => response.destroy());
      response.on('close', () => far.destroy());
      far.end(body);
    };
    // a killed caller cuts its requests off half-way
    const server = http.createServer(
      (request, response) => void pass(request, response).catch(() => response.destroy()),
    );
    // as daprd and dockerd, it never closes an idle connection by itself
    server.keepAliveTimeout = 0;
    this.servers.push(server);
    return server;
  }

  private strikes(step: string, moment: Point['moment']): boolean {
    const { plan } = this;
    if (plan?.step !== step || plan.moment !== moment) return false;
    this.plan = undefined;
    plan.strike();
    return true;
  }

  private sidecarStep({ method, url = '' }: http.IncomingMessage, body: string): string | undefined {
    if (/\/internal\/allocations(\/|$)/.test(url)) return method === 'DELETE' ? 'give back' : 'take';
    const [, bulk, topic] = /\/publish\/(bulk\/)?[^/]+\/([^?]+)/.exec(url) ?? [];
    if (topic !== undefined) {
      if (bulk === undefined) return `publish ${topic}`;
      for (const { entryId } of JSON.parse(body) as { entryId: string }[]) this.topics.set(entryId, topic);
      return `publish ${topic}`;
    }
    if (!url.endsWith('/transaction')) return undefined;
    for (const { operation, request } of (JSON.parse(body) as Transaction).operations) {
      const [kind, id = ''] = request.key.split(':');
      if (kind === 'task' && operation === 'upsert') return `store ${request.value?.status}`;
      if (kind === 'outbox' && operation === 'delete') return `forget ${this.topics.get(id)}`;
    }
    return undefined;
  }
}

function dockerStep({ method, url = '' }: http.IncomingMessage): string | undefined {
  if (method === 'POST' && /\/containers\/create\?name=task-/.test(url)) return 'create';
  const [, action] = /\/containers\/task-[0-9a-f-]{36}(?:\/(start|stop))?(?:\?|$)/.exec(url) ?? [];
  if (method === 'POST') return action;
  return method === 'DELETE' && /\/containers\/task-[0-9a-f-]{36}\?/.test(url) ? 'remove' : undefined;
}
