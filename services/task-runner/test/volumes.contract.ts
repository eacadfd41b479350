import { randomUUID } from 'node:crypto';
import type { ContainerRuntime } from '../ports/container-runtime';
import type { Volumes } from '../ports/volumes';
import { buildFence, buildSpec } from './build-spec';

export interface VolumesHarness {
  runtime: ContainerRuntime;
  volumes: Volumes;
  /** The same engine with another instance's eyes. */
  stranger: Volumes;
  image: string;
}

/** What every adapter of ports/volumes.ts must do, together with the runtime that makes the volumes. */
export function volumesContract(name: string, open: () => Promise<VolumesHarness>): void {
  describe(`volumes: ${name}`, () => {
    let harness: VolumesHarness;
    beforeAll(async () => {
      harness = await open();
    });

    let user: string;
    beforeEach(() => {
      user = randomUUID();
    });

    const fence = buildFence({ volumes: [{ name: 'work', path: '/work' }] });
    const specFor = (userId: string) => buildSpec({ userId, image: harness.image, fence });
    const ofUser = async (userId: string) => (await harness.volumes.list()).filter((one) => one.userId === userId);
    const comeAndGo = async (): Promise<void> => {
      const spec = specFor(user);
      await harness.runtime.start(spec);
      await harness.runtime.remove(spec.taskId);
    };

    test('when a task with a volume comes and goes, then the volume stays, and the next one of its user has the same', async () => {
      const first = specFor(user);
      await harness.runtime.start(first);
      const [made] = await ofUser(user);
      expect(made).toMatchObject({ userId: user, serviceType: 'demo', name: 'work', inUse: true });
      expect(made?.createdAt).toMatch(/Z$/);
      await harness.runtime.remove(first.taskId);
      expect(await ofUser(user)).toEqual([{ ...made, inUse: false }]);

      const second = specFor(user);
      await harness.runtime.start(second);
      expect(await ofUser(user)).toEqual([made]);
      await harness.runtime.remove(second.taskId);
      await harness.volumes.remove({ userId: user, serviceType: 'demo', name: 'work' });
    });

    test('when another user starts the same type, then the volume is another one', async () => {
      await comeAndGo();
      const other = randomUUID();
      const spec = specFor(other);
      await harness.runtime.start(spec);
      expect(await ofUser(other)).toMatchObject([{ userId: other, name: 'work', inUse: true }]);
      expect(await ofUser(user)).toMatchObject([{ userId: user, name: 'work', inUse: false }]);
      await harness.runtime.remove(spec.taskId);
      await harness.volumes.remove({ userId: other, serviceType: 'demo', name: 'work' });
      expect(await ofUser(other)).toEqual([]);
      expect(await ofUser(user)).toHaveLength(1);
      await harness.volumes.remove({ userId: user, serviceType: 'demo', name: 'work' });
    });

    test('when a container has the volume, running or not, then it is not removed; afterwards it is, and again is no error', async () => {
      const spec = specFor(user);
      const key = { userId: user, serviceType: 'demo', name: 'work' };
      await harness.runtime.start(spec);
      await expect(harness.volumes.remove(key)).rejects.toMatchObject({ code: 'volume.in_use' });
      await harness.runtime.stop(spec.taskId, 1);
      await expect(harness.volumes.remove(key)).rejects.toMatchObject({ code: 'volume.in_use' });
      await harness.runtime.remove(spec.taskId);
      await harness.volumes.remove(key);
      expect(await ofUser(user)).toEqual([]);
      await harness.volumes.remove(key);
    });

    test('when another instance looks or removes, then it neither sees nor touches ours', async () => {
      await comeAndGo();
      expect((await harness.stranger.list()).filter(({ userId }) => userId === user)).toEqual([]);
      await harness.stranger.remove({ userId: user, serviceType: 'demo', name: 'work' });
      expect(await ofUser(user)).toHaveLength(1);
      await harness.volumes.remove({ userId: user, serviceType: 'demo', name: 'work' });
    });
  });
}
