import { parseServiceTypes, readServiceTypes } from '../adapters/service-types-file';

test('when the shipped file is read, then demo and jupyter are there, and ten demos fit in two cores', () => {
  const { types, limits } = readServiceTypes('services/task-runner/service-types.yaml');
  expect([...types.keys()]).toEqual(['demo', 'jupyter']);
  expect(types.get('demo')).toMatchObject({
    image: 'resource-manager/demo:1',
    fence: { cpuMillis: 100, memoryBytes: 64 * 1024 ** 2, readOnly: true, network: 'none' },
    capacity: { pool: 'local-cpu' },
    command: null,
  });
  expect((types.get('demo')?.capacity.units ?? 0) * 10).toBeLessThanOrEqual(2000);
  expect(types.get('jupyter')?.fence.memoryBytes).toBe(2 * 1024 ** 3);
  // more than an open page of it asks by itself
  expect(types.get('jupyter')?.lifetime.activity).toEqual({ cpuCores: 0.05, networkRate: 4096 });
  expect(limits).toEqual({ tasks: 1000, tasksPerUser: 20 });
});

const MINIMAL = `
    image: web
    containerPort: 80
    capacity: { pool: p, units: 1 }
    readiness: { path: /, timeoutSeconds: 1 }
`;

test('when a type says nothing of its fence, then it has a sound one', () => {
  const { types, limits } = parseServiceTypes(`serviceTypes:\n  web:${MINIMAL}`, 'types.yaml');
  expect(types.get('web')).toMatchObject({
    fence: {
      cpuMillis: 1000,
      memoryBytes: 512 * 1024 ** 2,
      pids: 256,
      openFiles: 4096,
      diskBytes: 10 * 1024 ** 3,
      logBytes: 20 * 1024 ** 2,
      gpus: 0,
      readOnly: false,
      tmpfs: {},
      user: null,
      volumes: [],
      network: 'none',
    },
    limits: { tasks: 1000, tasksPerUser: 20 },
  });
  expect(limits).toEqual({ tasks: 1000, tasksPerUser: 20 });
});

test('when a type asks for more than the operator allows, then each of its fields is named with its ceiling', () => {
  const text = `
ceilings: { cpu: 2, memory: 1Gi, pids: 100, openFiles: 1000, disk: 1Gi, logSize: 1Mi, gpus: 1, network: none }
limits: { tasks: 10, tasksPerUser: 2 }
serviceTypes:
  web:
    resources: { cpu: 2.5, memory: 2Gi, pids: 101, openFiles: 1001, disk: 2Gi, logSize: 2Mi, gpus: all }
    network: internet
    limits: { tasks: 11, tasksPerUser: 3 }${MINIMAL}`;
  for (const [field, ceiling] of [
    ['resources.cpu', '2 (ceilings.cpu)'],
    ['resources.memory', '1073741824 (ceilings.memory)'],
    ['resources.pids', '100 (ceilings.pids)'],
    ['resources.openFiles', '1000 (ceilings.openFiles)'],
    ['resources.disk', '1073741824 (ceilings.disk)'],
    ['resources.logSize', '1048576 (ceilings.logSize)'],
    ['resources.gpus', '1 (ceilings.gpus)'],
    ['network', 'none (ceilings.network)'],
    ['limits.tasks', '10 (limits.tasks)'],
    ['limits.tasksPerUser', '2 (limits.tasksPerUser)'],
  ]) {
    expect(faultsOf(text)).toContain(
      `types.yaml: serviceTypes.web.${field}: is above the operator's ceiling of ${ceiling}`,
    );
  }
});

test.each([
  ['ceilings: { cpu: many }', 'ceilings.cpu'],
  ['ceilings: { ram: 1Gi }', 'ceilings'],
  ['limits: { tasks: 0 }', 'limits.tasks'],
])('when the operator writes %s, then the fault is named', (line, place) => {
  expect(faultsOf(`${line}\nserviceTypes:\n  web:${MINIMAL}`)).toContain(`types.yaml: ${place}: `);
});

test('when a type says nothing of how long its tasks may stay, then nothing ends them; what it says comes with a warning', () => {
  const lifetimeOf = (lines: string) =>
    parseServiceTypes(`serviceTypes:\n  web:\n    ${lines}${MINIMAL}`, 'types.yaml').types.get('web')?.lifetime;
  const activity = { cpuCores: 0.05, networkRate: 1024 };
  expect(lifetimeOf('')).toEqual({ idleTimeout: null, maxAge: null, warnBefore: 0, maxExtension: 0, activity });
  expect(lifetimeOf('idleTimeout: 600')).toMatchObject({ idleTimeout: 600, maxAge: null, warnBefore: 60 });
  expect(lifetimeOf('maxAge: 5')).toMatchObject({ idleTimeout: null, maxAge: 5, warnBefore: 0 });
  expect(lifetimeOf('maxAge: 864000\n    warnBefore: 3600\n    maxExtension: 7200')).toMatchObject({
    ...{ maxAge: 864_000, warnBefore: 3600, maxExtension: 7200 },
  });
  expect(lifetimeOf('activity: { cpu: 0.2, networkRate: 10Ki }')).toMatchObject({
    activity: { cpuCores: 0.2, networkRate: 10_240 },
  });
});

test.each([
  ['idleTimeout: 0', 'idleTimeout'],
  ['maxAge: 1h', 'maxAge'],
  ['maxExtension: -1', 'maxExtension'],
  ['idleTimeout: 60\n    warnBefore: 60', 'warnBefore: must be less than idleTimeout'],
  ['maxAge: 60\n    warnBefore: 61', 'warnBefore: must be less than maxAge'],
  ['activity: { network: 1 }', 'activity'],
  ['user: root', 'user: must be uid:gid'],
  ['readOnly: maybe', 'readOnly'],
  ['tmpfs: { tmp: 1Mi }', 'tmpfs.tmp: must be a path below /'],
  ['tmpfs: { /tmp: plenty }', 'tmpfs./tmp: must be bytes'],
  ['tmpfs: { /tmp: 1Gi }', 'tmpfs: is larger than the memory'],
  ['volumes: [{ name: Work, path: /work }]', 'volumes.0.name: must be lower-case'],
  ['volumes: [{ name: work, path: /proc/x }]', 'volumes.0.path: must not be in /proc'],
  ['volumes: [{ name: work, path: /a/../proc }]', 'volumes.0.path: must not be in /proc'],
  ['volumes: [{ name: work, path: /a }, { name: work, path: /b }]', 'volumes: two volumes have the same name'],
  [
    '{ volumes: [{ name: work, path: /a }], tmpfs: { /a: 1Mi } }',
    'volumes: two of volumes and tmpfs have the same path',
  ],
  ['network: host', 'network'],
])('when a type says %s, then the fault is named', (line, fault) => {
  const fields = line.startsWith('{') ? line.slice(2, -2).replace('], ', ']\n    ') : line;
  expect(faultsOf(`serviceTypes:\n  web:\n    ${fields}${MINIMAL}`)).toContain(`types.yaml: serviceTypes.web.${fault}`);
});

function faultsOf(text: string): string {
  try {
    parseServiceTypes(text, 'types.yaml');
  } catch (error) {
    return String(error);
  }
  return 'no fault';
}

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
  const message = faultsOf(text);
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
