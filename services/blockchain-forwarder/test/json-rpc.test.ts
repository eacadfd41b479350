import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jsonRpc, RpcRefusal } from '../adapters/sinks/evm/json-rpc';

type Answer = { status?: number; headers?: Record<string, string>; text: string };
interface Question {
  id: number;
  method: string;
}

let server: Server;
let origin: string;
let answer: (questions: Question[], request: IncomingMessage) => Answer | undefined;
let requests: number;

beforeAll(async () => {
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      requests += 1;
      const given = answer([JSON.parse(text) as Question].flat(), request);
      if (given) response.writeHead(given.status ?? 200, given.headers).end(given.text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  requests = 0;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const secret = 'v3-0123456789abcdef';
const rpc = (timeoutMs = 2_000) => jsonRpc(`${origin}/${secret}`, timeoutMs);
const json = (value: unknown): Answer => ({ text: JSON.stringify(value) });

it('when much is asked, then it goes in requests of 50, and answers in any order find their questions', async () => {
  answer = (questions) => json(questions.map(({ id, method }) => ({ id, result: method })).reverse());
  const calls = Array.from({ length: 120 }, (_, n) => ({ method: `m${n}`, params: [] }));
  expect(await rpc().askAll(calls)).toEqual(calls.map(({ method }) => method));
  expect(requests).toBe(3);
  expect(await rpc().askAll([])).toEqual([]);
});

it('when one of many is refused, then the others have their answers', async () => {
  answer = ([one, two]) =>
    json([
      { id: one!.id, error: { code: 3, message: 'execution reverted\nlong', data: '0x12' } },
      { id: two!.id, result: null },
    ]);
  const [refusal, nothing] = await rpc().askAll([
    { method: 'a', params: [] },
    { method: 'b', params: [] },
  ]);
  expect(refusal).toMatchObject({ message: 'a is refused: execution reverted', data: '0x12' });
  expect(nothing).toBeNull();
});

it('when a provider refuses the request as a whole, or repeats its key, then the reason is told without the key', async () => {
  answer = () => ({ ...json({ id: null, error: { message: `project ${secret} is over its limit` } }), status: 429 });
  const calls = ['a', 'b'].map((method) => ({ method, params: [] }));
  for (const refusal of await rpc().askAll(calls)) {
    expect(refusal).toBeInstanceOf(RpcRefusal);
    expect((refusal as RpcRefusal).reason).toBe('project … is over its limit');
  }
  await expect(rpc().ask('a')).rejects.toThrow('a is refused: project … is over its limit');
});

it('when the URL has a name and a password, then they go in a header', async () => {
  answer = (_, { headers }) => json({ id: 0, result: headers.authorization });
  const url = origin.replace('//', '//name:pass%20word@');
  expect(await jsonRpc(url, 2_000).ask('a')).toBe(`Basic ${Buffer.from('name:pass word').toString('base64')}`);
});

it('when it is silent, talks rubbish, leads elsewhere or is not there, then a short sentence says so', async () => {
  const cases: [Answer | undefined, string][] = [
    [undefined, 'it does not answer within 150 ms'],
    [{ text: '<html>', status: 502 }, 'it answers 502 without JSON'],
    [{ text: '"x"' }, 'it answers with what is no JSON-RPC'],
    [{ text: '[]' }, 'it does not answer a'],
    [{ text: '{"id":0}' }, 'it does not answer a'],
    [{ text: '', status: 307, headers: { location: `${origin}/elsewhere` } }, 'it does not answer'],
  ];
  for (const [given, sentence] of cases) {
    answer = () => given;
    await expect(rpc(150).ask('a')).rejects.toThrow(new Error(sentence));
  }
  await expect(jsonRpc('http://127.0.0.1:1', 150).ask('a')).rejects.toThrow(new Error('it does not answer'));
});
