import { Failure } from '../failure';
import { currentInstance, root, type Instance } from '../instance';

function allPorts({ apps, ports }: Instance): number[] {
  const ofApps = apps.flatMap((app) => [
    app.ports.appPort,
    app.ports.daprHTTPPort,
    app.ports.daprGRPCPort,
    app.ports.metricsPort,
    app.ports.daprInternalGRPCPort,
  ]);
  return [...ofApps, ...Object.values(ports)];
}

describe('an instance', () => {
  test('without variables it is dapr.yaml as it stands, in .run/', () => {
    const instance = currentInstance({});
    expect(instance).toMatchObject({ name: 'default', isDefault: true, runDir: `${root}/.run` });
    expect(instance.apps.map(({ name, ports }) => `${name} ${ports.appPort}`)).toEqual([
      'resource-pool 8101',
      'allocation 8102',
      'task-runner 8103',
      'blockchain-forwarder 8104',
    ]);
  });

  test('with an offset every port is higher by it, and it has a folder of its own', () => {
    const instance = currentInstance({ RM_INSTANCE: 'e2e', RM_PORT_OFFSET: '1000' });
    expect(instance).toMatchObject({ isDefault: false, runDir: `${root}/.run/e2e` });
    expect(allPorts(instance)).toEqual(allPorts(currentInstance({})).map((port) => port + 1000));
  });

  test('a second replica has the same app-id, a name of its own and ports of its own', () => {
    const { apps, runFile } = currentInstance({ RM_REPLICAS: 'allocation' });
    const replica = apps.find(({ name }) => name === 'allocation-2');
    expect(replica).toMatchObject({ appId: 'allocation', ports: { appPort: 8152, daprHTTPPort: 3152 } });
    expect(runFile.apps.at(-1)?.command).toContain('allocation-2');
    expect(runFile.apps.at(-1)?.command).toContain('dist/services/allocation/main.js');
  });

  test('of the apps it may run some only', () => {
    const { apps, runFile, isDefault } = currentInstance({ RM_APPS: 'resource-pool,allocation' });
    expect(apps.map(({ name }) => name)).toEqual(['resource-pool', 'allocation']);
    expect(runFile.apps).toHaveLength(2);
    expect(isDefault).toBe(false);
  });

  test('the instances that the tests run at once share no port with each other and with the default one', () => {
    const ports = [
      {},
      { RM_INSTANCE: 'e2e', RM_PORT_OFFSET: '1000', RM_REPLICAS: 'allocation' },
      { RM_INSTANCE: 'start-stop', RM_PORT_OFFSET: '2000' },
    ].flatMap((env) => allPorts(currentInstance(env)));
    expect(new Set(ports).size).toBe(ports.length);
  });

  test.each([
    { RM_INSTANCE: '../elsewhere' },
    { RM_PORT_OFFSET: 'many' },
    { RM_REPLICAS: 'nobody' },
    { RM_APPS: 'nobody' },
  ])('%j is refused with a sentence', (env) => {
    expect(() => currentInstance(env)).toThrow(Failure);
  });
});
