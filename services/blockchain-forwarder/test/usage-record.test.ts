import { canonicalHash } from '../domain/canonical-hash';
import { faultOf, usageRecordOf, type EndOfUse, type UsageRecord } from '../domain/usage-record';
import { allocationReleased, taskFailed, taskStopped, USER } from './support/samples';

const NOW = new Date('2026-11-24T10:00:00.000Z');

describe('the record of a use', () => {
  it('when a task was stopped, then the record says who used what from when to when', () => {
    const event = taskStopped({}, { id: '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11' });
    expect(usageRecordOf(event)).toEqual({
      version: 1,
      id: '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11',
      kind: 'task',
      userId: USER,
      taskId: event.data.taskId,
      allocationId: event.data.allocationId,
      serviceType: 'jupyter',
      serviceId: null,
      poolId: event.data.poolId,
      capacity: 1000,
      startedAt: '2026-11-23T09:00:00.000Z',
      endedAt: '2026-11-23T10:03:20.000Z',
      duration: 'PT1H3M20S',
      reason: 'stopped_by_user',
      sourceEvent: { id: event.id, source: 'task-runner', type: 'task.stopped' },
    });
  });

  it('when an allocation was released, then the use is that of who made it', () => {
    const event = allocationReleased();
    expect(usageRecordOf(event)).toMatchObject({
      kind: 'allocation',
      userId: USER,
      taskId: null,
      allocationId: event.data.allocation_id,
      serviceType: null,
      serviceId: event.data.service_id,
      poolId: event.data.resource_pool_id,
      capacity: 4,
      duration: 'PT30M',
    });
  });

  it('when the allocation was held for a task, then there is no record beside the task’s own', () => {
    expect(usageRecordOf(allocationReleased({ task_id: '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11' }))).toBeNull();
  });

  it('when a task failed after it ran, then there is a record; when it never ran, then there is none', () => {
    expect(usageRecordOf(taskFailed())).toMatchObject({ kind: 'task', reason: 'exited' });
    expect(usageRecordOf(taskFailed({ startTime: null }))).toBeNull();
  });

  it('when times come in other spellings, then the record has one', () => {
    const event = taskStopped({ startTime: '2026-11-23T09:00:00Z', stopTime: '2026-11-23T10:03:20.123456Z' });
    expect(usageRecordOf(event)).toMatchObject({
      startedAt: '2026-11-23T09:00:00.000Z',
      endedAt: '2026-11-23T10:03:20.123Z',
    });
  });

  it.each([
    ['a NUL', { reason: 'a\u0000b' }, 'NUL'],
    ['half a surrogate pair', { serviceType: 'x\ud83d' }, 'surrogate'],
    ['a very long text', { serviceType: 'x'.repeat(201) }, '200 characters'],
    ['much text', { serviceType: '日'.repeat(200) }, '900 bytes'],
    ['a start in antiquity', { startTime: '0001-01-01T00:00:00.000Z' }, 'year 2000'],
    ['an end in the far future', { stopTime: '9999-12-31T23:59:59.999Z' }, 'a day in the future'],
    ['an end more than a day ahead', { stopTime: '2026-11-25T10:00:00.001Z' }, 'a day in the future'],
  ])('when an event holds %s, then it is said', (_, data, fault) => {
    const event: EndOfUse = taskStopped(data);
    expect(faultOf(event, usageRecordOf(event)!, NOW)).toContain(fault);
  });

  it('when text is unusual but sound, then it is fine', () => {
    const event = taskStopped({ serviceType: 'ju😀pyter \\u0000', reason: 'ünïcödé \u2028' });
    expect(faultOf(event, usageRecordOf(event)!, NOW)).toBeNull();
  });
});

describe('the usage hash', () => {
  // a test vector for other implementations: docs of the service give the same
  const record: UsageRecord = {
    version: 1,
    id: '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11',
    kind: 'task',
    userId: '4f1d3b52-0c9e-4c55-8d67-0d5b1f1f6a01',
    taskId: '9a7e1c7e-58a1-4c0a-9a53-0a4f5a1f7b22',
    allocationId: null,
    serviceType: 'jupyter',
    serviceId: null,
    poolId: 'b7a1c1de-9d0f-4d11-8c62-52f0a3a0d7aa',
    capacity: 1000,
    startedAt: '2026-11-23T09:00:00.000Z',
    endedAt: '2026-11-23T10:03:20.000Z',
    duration: 'PT1H3M20S',
    reason: 'stopped_by_user',
    sourceEvent: { id: '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11', source: 'task-runner', type: 'task.stopped' },
  };
  const HASH = '0x9842efb1e80db2e2b04f4ca44646d28f853f2c5befa57c7d5deb118ea576bde1';

  it('when the record is the published one, then so is the hash, whatever the order of its keys', async () => {
    expect(await canonicalHash(record)).toBe(HASH);
    expect(await canonicalHash(Object.fromEntries(Object.entries(record).reverse()))).toBe(HASH);
  });

  it('when any field is another, then the hash is', async () => {
    for (const name of Object.keys(record)) {
      expect(await canonicalHash({ ...record, [name]: 'another' })).not.toBe(HASH);
    }
  });

  it('when the value is RFC 8785’s own example, then the hash is that of its canonical form', async () => {
    const example = {
      numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000f\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    };
    // sha256 of {"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}
    expect(await canonicalHash(example)).toBe('0x2d5e01a318d0f0879ab568c4be289c8b1f64ef8921a53c6277d5e069978baacb');
  });
});
