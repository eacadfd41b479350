import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { DockerRuntime } from '../../../services/task-runner/adapters/docker-runtime';
import type { RuntimeHarness } from '../../../services/task-runner/test/support/runtime-harness';
import { silentLogger } from '../../../shared/logging/logger';
import { ensureGoImage } from '../../../tools/demo-image';
import { SlowRegistry } from './slow-registry';

/** There once a harness is open. */
export const IMAGE = 'resource-manager/contract:1';

/** The contract suite's view of an engine that is reached by `docker`; what happens behind its back goes the usual way. */
export class DockerHarness {
  private readonly registry = new SlowRegistry();
  private readonly published: string[] = [];
  private readonly runtime: DockerRuntime;

  constructor(
    private readonly docker: Docker,
    private readonly instance: string,
  ) {
    this.runtime = this.runtimeOf(instance);
  }

  async open(): Promise<RuntimeHarness> {
    await this.registry.start();
    const folder = path.join(__dirname, '..', 'images', 'contract');
    await ensureGoImage(new Docker(), { tag: IMAGE, folder, program: 'program' });
    return {
      runtime: this.runtime,
      stranger: this.runtimeOf(`${this.instance}-stranger`),
      image: IMAGE,
      containerPort: 8080,
      untilServing: async (taskId) => untilServed(`${await this.urlOf(taskId)}/healthz`),
      exit: (taskId, code) => this.tell(taskId, `exit?code=${code}`),
      print: (taskId, stream, text) => this.tell(taskId, `print?stream=${stream}&text=${encodeURIComponent(text)}`),
      exhaustMemory: (taskId) => this.tell(taskId, 'eat'),
      vanish: async (taskId) => {
        await promisify(execFile)('docker', ['rm', '-f', `task-${taskId}`]);
      },
      publish: async (how) => {
        const name = `image-${this.published.length}`;
        const image = this.registry.publish(name, [1_200_000, 300_000, 40_000], how);
        this.published.push(image);
        return { image, speak: () => this.registry.speak() };
      },
      missing: `${this.registry.host}/is-not-there:1`,
      refused: `${this.registry.host}/refused:1`,
      // the port of "discard": nobody listens
      stillMs: 500,
      unreachable: '127.0.0.1:9/image:1',
    };
  }

  async close(): Promise<void> {
    for (const image of this.published) {
      if (await this.runtime.hasImage(image)) await this.docker.getImage(image).remove();
    }
    await this.registry.stop();
    await new Docker().getNetwork(`resource-manager-${this.instance}-closed`).remove();
  }

  private runtimeOf(instance: string): DockerRuntime {
    return new DockerRuntime({ instance, bindAddress: '127.0.0.1', logger: silentLogger }, this.docker);
  }

  private async urlOf(taskId: string): Promise<string> {
    return `http://127.0.0.1:${(await this.runtime.inspect(taskId))?.port}`;
  }

  private async tell(taskId: string, what: string): Promise<void> {
    await fetch(`${await this.urlOf(taskId)}/${what}`, { method: 'POST' });
  }
}

async function untilServed(url: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    // an own limit a try: a connection made while the container comes up may hang for seconds
    const answer = await fetch(url, { signal: AbortSignal.timeout(500) }).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} did not answer within 5 s`);
}
