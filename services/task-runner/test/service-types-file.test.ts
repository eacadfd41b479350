import { parseServiceTypes, readServiceTypes } from '../adapters/service-types-file';

test('when the shipped file is read, then demo and jupyter are there, and ten demos fit in two cores', () => {
  const types = readServiceTypes('services/task-runner/service-types.yaml');
  expect([...types.keys()]).toEqual(['demo', 'jupyter']);
  expect(types.get('demo')).toMatchObject({
    image: 'resource-manager/demo:1',
    cpuMillis: 100,
    memoryBytes: 64 * 1024 ** 2,
    capacity: { pool: 'local-cpu' },
    command: null,
  });
  expect((types.get('demo')?.capacity.units ?? 0) * 10).toBeLessThanOrEqual(2000);
  expect(types.get('jupyter')?.memoryBytes).toBe(2 * 1024 ** 3);
});

test('when a file has several faults, then each is named with its place', () => {
  const text = `
serviceTypes:
  web:
    image: 'a b'
    containerPort: 70000
    env: { '1X': 'x', TOKEN: '{tokn}' }
    resources: { cpu: 0, memory: 12MB, pids: 1, gpu: 1 }
    capacity: { pool: p, units: 0.5 }
    readiness: { path: healthz, timeoutSeconds: 1 }
`;
  let message = '';
  try {
    parseServiceTypes(text, 'types.yaml');
  } catch (error) {
    message = String(error);
  }
  for (const place of [
    'types.yaml',
    'web.image',
    'web.containerPort',
    'web.env.1X: must be the name of a variable',
    '{tokn} stands for nothing',
    'web.resources.cpu',
    'web.resources.memory',
    'web.capacity.units',
    'web.readiness.path',
  ]) {
    expect(message).toContain(place);
  }
});

test('when a file is no YAML or is empty, then the message names the file', () => {
  expect(() => parseServiceTypes('a: [', 'types.yaml')).toThrow('types.yaml is not YAML');
  expect(() => parseServiceTypes('', 'types.yaml')).toThrow('types.yaml: the file: ');
});
