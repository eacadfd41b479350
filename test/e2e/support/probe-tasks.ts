import { randomUUID } from 'node:crypto';
import path from 'node:path';
import Docker from 'dockerode';
import { DockerRuntime } from '../../../services/task-runner/adapters/docker-runtime';
import type { Fence } from '../../../services/task-runner/domain/service-type';
import { buildFence, buildSpec } from '../../../services/task-runner/test/support/build-spec';
import { recordingLogger } from '../../../shared/testing/recording-logger';
import { ensureGoImage } from '../../../tools/demo-image';
import { root } from '../../../tools/instance';
import { eventually } from './system';

export const PROBE_IMAGE = 'resource-manager/probe:1';

/** Tasks of an instance of its own, whose program (probe/main.go) tries what it is told. */
export class ProbeTasks {
  readonly docker = new Docker();
  readonly logger = recordingLogger();
  readonly runtime: DockerRuntime;
  /** Ids of tasks that `removeAll` removes. */
  readonly made: string[] = [];

  constructor(private readonly instance: string) {
    this.runtime = this.runtimeAt('127.0.0.1');
  }

  runtimeAt(bindAddress: string): DockerRuntime {
    return new DockerRuntime({ instance: this.instance, bindAddress, logger: this.logger });
  }

  /** `ask('connect?to=…')` answers what came of it. */
  async start(fence: Partial<Fence>, userId = randomUUID(), on = this.runtime, host = '127.0.0.1') {
    const spec = buildSpec({ userId, image: PROBE_IMAGE, fence: buildFence(fence) });
    this.made.push(spec.taskId);
    const { port } = await on.start(spec);
    const ask = async (question: string, ms = 20_000): Promise<string> => {
      const answer = await fetch(`http://${host}:${port}/${question}`, { signal: AbortSignal.timeout(ms) });
      return answer.text();
    };
    // a connection made while the container comes up may hang for seconds
    await eventually('the probe serves', () =>
      ask('healthz', 500).then(
        (text) => text === 'ok',
        () => false,
      ),
    );
    const found = await this.docker.getContainer(`task-${spec.taskId}`).inspect();
    const [address] = Object.values(found.NetworkSettings.Networks).map(({ IPAddress }) => IPAddress);
    return { taskId: spec.taskId, port, address, ask, found };
  }

  async prepare(): Promise<void> {
    const folder = path.join(root, 'test/e2e/support/probe');
    await ensureGoImage(this.docker, { tag: PROBE_IMAGE, folder, program: 'probe' });
  }

  async removeAll(): Promise<void> {
    await Promise.all(this.made.splice(0).map((taskId) => this.runtime.remove(taskId)));
  }

  async cleanUp(): Promise<void> {
    const filters = JSON.stringify({ label: [`resource-manager.instance=${this.instance}`] });
    const networks = await this.docker.listNetworks({ filters });
    await Promise.all(networks.map(({ Id }) => this.docker.getNetwork(Id).remove()));
    const { Volumes } = await this.docker.listVolumes({ filters });
    await Promise.all(Volumes.map(({ Name }) => this.docker.getVolume(Name).remove()));
  }
}
