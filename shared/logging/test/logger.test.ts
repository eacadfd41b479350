import { PassThrough } from 'node:stream';
import { withContext } from '../context';
import { createLogger, redact } from '../logger';

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl';

function logTo(level = 'debug') {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const logger = createLogger({ service: 'test', level, stream });
  return {
    logger,
    text: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return text;
    },
    lines: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
}

describe('a line', () => {
  test('is one JSON object with service, level, time, message and its fields', async () => {
    const { logger, lines } = logTo();
    logger.warn('two\nlines', { activity: 'x', ms: 1.5, when: new Date(0), big: 10n, list: [1, null] });
    expect(await lines()).toEqual([
      {
        service: 'test',
        level: 'warn',
        message: 'two\nlines',
        activity: 'x',
        ms: 1.5,
        when: '1970-01-01T00:00:00.000Z',
        big: '10',
        list: [1, null],
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      },
    ]);
  });

  test('carries request id and trace id of the work that it belongs to, also across awaits', async () => {
    const { logger, lines } = logTo();
    const traceId = 'e'.repeat(32);
    await withContext({ requestId: 'r-1', traceparent: `00-${traceId}-${'f'.repeat(16)}-01` }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      logger.info('inside');
    });
    logger.info('outside');
    const [inside, outside] = await lines();
    expect(inside).toMatchObject({ request_id: 'r-1', trace_id: traceId });
    expect(outside).not.toHaveProperty('trace_id');
  });

  test('below the level is not written', async () => {
    const { logger, text } = logTo('warn');
    logger.info('quiet');
    logger.debug('quiet');
    expect(await text()).toBe('');
  });

  test('of an error holds message, stack and causes', async () => {
    const { logger, lines } = logTo();
    logger.error('failed', { error: new Error('outer', { cause: new Error('inner') }) });
    expect((await lines())[0]).toMatchObject({
      error: { message: 'outer', stack: expect.any(String), cause: { message: 'inner' } },
    });
  });

  test('of a thing that contains itself does not fail', async () => {
    const { logger, lines } = logTo();
    const loop: Record<string, unknown> = { name: 'loop' };
    loop['self'] = loop;
    logger.info('loop', { loop });
    expect((await lines())[0]).toMatchObject({ loop: { name: 'loop' } });
  });
});

describe('no line ever holds a secret', () => {
  test.each<[string, string, Record<string, unknown>]>([
    ['a bearer token in the message', `refused: Bearer ${JWT}`, {}],
    ['a JWT anywhere', 'x', { note: `got ${JWT} from her` }],
    ['a header object', 'x', { headers: { Authorization: `Bearer ${JWT}`, 'dapr-api-token': 'c2lnbmF0dXJl' } }],
    ['a header in a text', 'authorization: Basic c2lnbmF0dXJl', {}],
    ['an API token in a text', 'sent dapr-api-token: c2lnbmF0dXJl', {}],
    [
      'a field named after what it is',
      'x',
      { apiKey: 'c2lnbmF0dXJl', JWT_SECRET: 'c2lnbmF0dXJl', private_key: 'c2lnbmF0dXJl' },
    ],
    ['a nested field, in a list', 'x', { tasks: [{ env: { JUPYTER_TOKEN: 'c2lnbmF0dXJl' } }] }],
    ['a query', 'GET /lab?token=c2lnbmF0dXJl&x=1', {}],
    ['an error’s message', 'x', { error: new Error(`postgres://rm:c2lnbmF0dXJl@127.0.0.1/db`) }],
    ['an error’s cause', 'x', { error: new Error('a', { cause: new Error(`nats://u:c2lnbmF0dXJl@h`) }) }],
    ['a URL without a user name', 'redis://:c2lnbmF0dXJl@h', {}],
    ['a URL with only a token', 'nats://c2lnbmF0dXJl@h:4222', {}],
    ['a JSON text', `body {"password":"c2lnbmF0dXJl","token": "c2lnbmF0dXJl"}`, {}],
  ])('%s', async (_name, message, fields) => {
    const { logger, text } = logTo();
    logger.error(message, fields);
    const written = await text();
    expect(written).toContain('[redacted]');
    expect(written).not.toMatch(/c2lnbmF0dXJl|eyJhbGci/);
  });

  test('what is no secret stays readable', () => {
    const harmless = 'POST /resource_pools 201 at http://127.0.0.1:8101/docs by alice@example.org, key: value';
    expect(redact(harmless)).toBe(harmless);
    expect(redact({ taskId: 'x', key: 'pool:1', count: 0, none: null })).toEqual({
      taskId: 'x',
      key: 'pool:1',
      count: 0,
      none: null,
    });
  });
});
