import request from 'supertest';
import { unavailable } from '../../../shared/errors';
import { bearer } from '../../../shared/testing/api';
import { allocationReleased, taskStopped, USER } from './support/samples';
import { startForwarder, type Forwarder } from './support/forwarder';

const OTHER = '77777777-0c9e-4c55-8d67-0d5b1f1f6a01';
const SUMMARY = '/api/usage/summary';
let forwarder: Forwarder;

beforeEach(async () => {
  forwarder = await startForwarder();
});

const csv = (path: string, role: string, sub?: string) =>
  request(forwarder.app).get(path).set('authorization', bearer(role, sub)).set('accept', 'text/csv').buffer(true);
const linesOf = (text: string): string[] => text.split('\r\n').slice(0, -1);

describe('GET /api/usage/summary', () => {
  it('when a user sums up, then exact seconds and unit-seconds of its own records come', async () => {
    await forwarder.publish(taskStopped(), taskStopped({ userId: OTHER }), taskStopped({ capacity: null }));
    const response = await forwarder.get(`${SUMMARY}?by=user`, 'user', USER);
    expect(response.status).toBe(200);
    expect(response.body).toEqual([{ key: USER, count: 2, seconds: '7600.000', unitSeconds: '3800000.000' }]);
  });

  it('when an admin sums up, then everyone’s come, or those of whom it asks for', async () => {
    await forwarder.publish(taskStopped(), taskStopped({ userId: OTHER, capacity: 1 }));
    const keys = async (query: string) =>
      ((await forwarder.get(`${SUMMARY}?by=user${query}`, 'admin')).body as { key: string }[]).map(({ key }) => key);
    expect(await keys('')).toEqual([USER, OTHER]);
    expect(await keys(`&userId=${OTHER}`)).toEqual([OTHER]);
  });

  it('when a user asks for somebody else’s sums, then there are none', async () => {
    await forwarder.publish(taskStopped({ userId: OTHER }));
    expect((await forwarder.get(`${SUMMARY}?by=user&userId=${OTHER}`, 'user', USER)).body).toEqual([]);
    expect((await csv(`${SUMMARY}?by=user&userId=${OTHER}`, 'user', USER)).text).toBe(
      'user,count,seconds,unitSeconds\r\n',
    );
  });

  it('when a time without milliseconds is given, then it is the same instant', async () => {
    await forwarder.publish(taskStopped());
    const counts = async (query: string) =>
      (await forwarder.get(`${SUMMARY}?by=day&${query}`, 'admin')).body as object[];
    expect(await counts('from=2026-11-23T10:03:20Z')).toHaveLength(1);
    expect(await counts('to=2026-11-23T10:03:20Z')).toHaveLength(0);
  });

  it.each(['serviceType', 'day'])(
    'when there are more groups by %s than a page, then Link leads through all',
    async (by) => {
      const types = ['a', 'b', 'c', 'd', 'e'];
      await forwarder.publish(
        ...types.map((serviceType, n) => taskStopped({ serviceType, stopTime: `2026-11-2${n}T10:03:20.000Z` })),
      );
      const seen: unknown[] = [];
      for (let path: string | undefined = `${SUMMARY}?by=${by}&limit=2`; path;) {
        const response = await forwarder.get(path, 'user', USER);
        seen.push(...(response.body as { key: string }[]).map(({ key }) => key));
        path = /<([^>]+)>; rel="next"/.exec(response.headers['link'] ?? '')?.[1];
      }
      expect(seen).toHaveLength(5);
      expect(new Set(seen).size).toBe(5);
    },
  );

  it('when a cursor is of another grouping, or of nobody’s making, then 400', async () => {
    await forwarder.publish(taskStopped({ serviceType: 'a' }), taskStopped({ serviceType: 'b' }));
    const first = await forwarder.get(`${SUMMARY}?by=serviceType&limit=1`, 'admin');
    const cursor = /cursor=([^&>]+)/.exec(first.headers['link'] ?? '')![1]!;
    for (const query of [`by=pool&cursor=${cursor}`, 'by=pool&cursor=abc', 'by=day&cursor=WyJkYXkiLDEsMV0']) {
      const response = await forwarder.get(`${SUMMARY}?${query}`, 'admin');
      expect([response.status, (response.body as { errors: object }).errors]).toEqual([
        400,
        [{ field: 'query.cursor', message: 'is not a cursor of this list' }],
      ]);
    }
  });

  it.each(['', 'by=colour', 'by=day&by=month', 'by='])(
    'when by is missing, unknown or twice (%s), then 400',
    async (query) => {
      const response = await forwarder.get(`${SUMMARY}?${query}`, 'admin');
      expect(response.status).toBe(400);
      expect((response.body as { errors: { field: string }[] }).errors.map(({ field }) => field)).toEqual(['query.by']);
    },
  );

  it('when the rest of the query is malformed, then every bad field is named', async () => {
    const response = await forwarder.get(`${SUMMARY}?by=day&from=2026-11-23&to=now&limit=1001&x=1`, 'admin');
    const fields = (response.body as { errors: { field: string }[] }).errors.map(({ field }) => field);
    expect(fields.sort()).toEqual(['query.from', 'query.limit', 'query.to', 'query.x']);
  });

  it('when asked for as CSV, then it is a file named after the grouping, of all groups', async () => {
    await forwarder.publish(
      ...Array.from({ length: 150 }, (_, n) => taskStopped({ serviceType: `=t${n}`, capacity: n + 1 })),
    );
    const response = await csv(`${SUMMARY}?by=serviceType`, 'admin');
    expect(response.headers['content-disposition']).toBe('attachment; filename="usage-by-serviceType.csv"');
    const lines = linesOf(response.text);
    expect(lines).toHaveLength(151);
    expect(lines.slice(0, 2)).toEqual(['serviceType,count,seconds,unitSeconds', "'=t149,1,3800.000,570000.000"]);
  });
});

describe('GET /api/usage as CSV', () => {
  it('when a user exports, then each of its records is a line with every field', async () => {
    const [task, allocation] = [taskStopped(), allocationReleased()];
    await forwarder.publish(task, taskStopped({ userId: OTHER }));
    await forwarder.publish(allocation);
    const response = await csv('/api/usage', 'user', USER);
    expect(response.status).toBe(200);
    expect(response.headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="usage.csv"',
      vary: 'Accept',
    });
    const hashOf = async (id: string) => (await forwarder.store.get(id))!.usage.usageHash;
    expect(linesOf(response.text)).toEqual([
      'id,version,corrects,kind,userId,taskId,allocationId,serviceType,serviceId,poolId,capacity,startedAt,endedAt,' +
        'duration,seconds,unitSeconds,reason,eventSource,eventType,usageHash,receivedAt',
      `${task.id},1,,task,${USER},${task.data.taskId},${task.data.allocationId},jupyter,,${task.data.poolId},1000,` +
        '2026-11-23T09:00:00.000Z,2026-11-23T10:03:20.000Z,PT1H3M20S,3800.000,3800000.000,stopped_by_user,task-runner,' +
        `task.stopped,${await hashOf(task.id)},2026-11-23T12:00:00.000Z`,
      `${allocation.id},1,,allocation,${USER},,${allocation.data.allocation_id},,${allocation.data.service_id},` +
        `${allocation.data.resource_pool_id},4,2026-11-23T09:30:00.000Z,2026-11-23T10:00:00.000Z,PT30M,1800.000,7200.000,` +
        `released,allocation,allocation.released,${await hashOf(allocation.id)},2026-11-23T12:00:00.000Z`,
    ]);
  });

  it('when there are more records than a page of the list, then the file has them all, or as many as limit says', async () => {
    const events = Array.from({ length: 1_205 }, () => taskStopped());
    await forwarder.publish(...events.slice(0, 700));
    await forwarder.publish(...events.slice(700));
    const ids = linesOf((await csv('/api/usage', 'admin')).text)
      .slice(1)
      .map((line) => line.slice(0, 36));
    expect(ids.sort()).toEqual(events.map(({ id }) => id).sort());
    expect(linesOf((await csv('/api/usage?limit=5', 'admin')).text)).toHaveLength(6);
  });

  it('when a page of JSON gave a cursor, then a file goes on behind it', async () => {
    await forwarder.publish(taskStopped(), taskStopped(), taskStopped());
    const first = await forwarder.get('/api/usage?limit=1', 'admin');
    const cursor = /cursor=([^&>]+)/.exec(first.headers['link'] ?? '')![1]!;
    const lines = linesOf((await csv(`/api/usage?cursor=${cursor}`, 'admin')).text);
    expect(lines).toHaveLength(3);
    expect(lines.join()).not.toContain((first.body as { id: string }[])[0]!.id);
  });

  it('when filtered, or somebody else’s are asked for, then it is as in the list', async () => {
    await forwarder.publish(taskStopped({ serviceType: 'demo' }), taskStopped(), taskStopped({ userId: OTHER }));
    const count = async (query: string, role: string) =>
      linesOf((await csv(`/api/usage?${query}`, role, USER)).text).length - 1;
    expect(await count('serviceType=demo', 'user')).toBe(1);
    expect(await count('from=2026-11-24T00:00:00Z', 'user')).toBe(0);
    expect(await count(`userId=${OTHER}`, 'user')).toBe(0);
    expect(await count(`userId=${OTHER}`, 'admin')).toBe(1);
  });

  it('when a reason looks like a formula, then a spreadsheet does not run it', async () => {
    await forwarder.publish(taskStopped({ reason: '=HYPERLINK("http://x","y")' }));
    expect((await csv('/api/usage', 'admin')).text).toContain(`,"'=HYPERLINK(""http://x"",""y"")",`);
  });

  it('when the records cannot be read, then 503 before anything is sent', async () => {
    jest.spyOn(forwarder.reports, 'records').mockRejectedValue(unavailable('database.unavailable', 'gone'));
    const response = await csv('/api/usage', 'admin');
    expect(response.status).toBe(503);
    expect(response.headers['content-disposition']).toBeUndefined();
  });

  it('when they cannot be read any more in the middle, then the connection breaks and the log says so', async () => {
    await forwarder.publish(...Array.from({ length: 1_000 }, () => taskStopped()));
    const records = forwarder.reports.records.bind(forwarder.reports);
    jest
      .spyOn(forwarder.reports, 'records')
      .mockImplementationOnce(records)
      .mockRejectedValue(unavailable('database.unavailable', 'the database is gone'));
    await expect(csv('/api/usage', 'admin')).rejects.toThrow('aborted');
    expect(forwarder.log.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', message: 'the database is gone' }),
    );
  });

  it('when another media type is asked for, then 406', async () => {
    for (const path of ['/api/usage', `${SUMMARY}?by=day`]) {
      const response = await forwarder.get(path, 'admin').set('accept', 'application/pdf');
      expect([response.status, (response.body as { code: string }).code]).toEqual([406, 'request.not_acceptable']);
    }
  });
});

describe('access to the summary', () => {
  it('when there is no token, then 401; with a role that may not, then 403, whatever is accepted', async () => {
    expect((await request(forwarder.app).get(`${SUMMARY}?by=day`)).status).toBe(401);
    expect((await csv(`${SUMMARY}?by=day`, 'resource-pool-owner')).status).toBe(403);
  });
});
