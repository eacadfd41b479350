import { z } from 'zod';

/** The node has answered, and refuses. */
export class RpcRefusal extends Error {
  constructor(
    readonly method: string,
    readonly reason: string,
    /** What a call reverted with, where the node tells. */
    readonly data: string | undefined,
  ) {
    super(`${method} is refused: ${reason}`);
  }
}

/** The node does not answer, or not as JSON-RPC. */
export class RpcSilence extends Error {}

export interface RpcCall {
  method: string;
  params: readonly unknown[];
}

/** Asks a node. Neither its URL, which may hold a provider's key, nor what was sent is in any message. */
export interface JsonRpc {
  /** @throws RpcRefusal @throws RpcSilence */
  ask(method: string, ...params: readonly unknown[]): Promise<unknown>;
  /** Many questions in one request; a refusal stands in the place of its answer. @throws RpcSilence */
  askAll(calls: readonly RpcCall[]): Promise<unknown[]>;
}

/** Providers limit how much one request may hold. */
const PER_REQUEST = 50;

const reply = z.object({
  id: z.number().nullish(),
  result: z.unknown().optional(),
  error: z.object({ message: z.string(), data: z.unknown().optional() }).optional(),
});
type Reply = z.infer<typeof reply>;

export function jsonRpc(url: string, timeoutMs: number): JsonRpc {
  const hidden = secretsOf(url);

  async function post(calls: readonly RpcCall[]): Promise<unknown[]> {
    const bodies = calls.map(({ method, params }, id) => ({ jsonrpc: '2.0', id, method, params }));
    const answer = await exchange(url, timeoutMs, bodies.length === 1 ? bodies[0] : bodies);
    const replies = z.union([z.array(reply), reply.transform((one) => [one])]).safeParse(answer).data;
    if (!replies) throw new RpcSilence('it answers with what is no JSON-RPC');
    return calls.map(({ method }, id) =>
      resultOf(method, hidden, calls.length === 1 ? replies[0] : replyTo(id, replies)),
    );
  }

  const askAll: JsonRpc['askAll'] = async (calls) => {
    const answers: unknown[] = [];
    for (let start = 0; start < calls.length; start += PER_REQUEST)
      answers.push(...(await post(calls.slice(start, start + PER_REQUEST))));
    return answers;
  };
  return {
    askAll,
    ask: async (method, ...params) => {
      const [answer] = await askAll([{ method, params }]);
      if (answer instanceof RpcRefusal) throw answer;
      return answer;
    },
  };
}

/** A request that is refused as a whole has one answer, without an id of ours. */
function replyTo(id: number, replies: readonly Reply[]): Reply | undefined {
  return replies.find((each) => each.id === id) ?? replies.find((each) => each.error && each.id == null);
}

function resultOf(method: string, hidden: readonly string[], given: Reply | undefined): unknown {
  if (given?.error) {
    const { message, data } = given.error;
    return new RpcRefusal(method, shown(message, hidden), typeof data === 'string' ? data : undefined);
  }
  if (given === undefined || given.result === undefined) throw new RpcSilence(`it does not answer ${method}`);
  return given.result;
}

async function exchange(url: string, timeoutMs: number, body: unknown): Promise<unknown> {
  const signal = AbortSignal.timeout(timeoutMs);
  const silence = (otherwise: string) =>
    new RpcSilence(signal.aborted ? `it does not answer within ${timeoutMs} ms` : otherwise);
  const response = await fetch(withoutUser(url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...basicAuth(url) },
    body: JSON.stringify(body),
    redirect: 'error',
    signal,
  }).catch(() => {
    throw silence('it does not answer');
  });
  // a refusal of JSON-RPC may come with any status
  return response.json().catch(() => {
    throw silence(`it answers ${response.status} without JSON`);
  });
}

/** fetch refuses a URL with a name and password in it. */
function withoutUser(url: string): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare;
}

function basicAuth(url: string): Record<string, string> {
  const { username, password } = new URL(url);
  if (username === '' && password === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** Parts of a URL that may be a key; a node may repeat them in what it says. */
function secretsOf(url: string): string[] {
  const { username, password, pathname, search } = new URL(url);
  return [username, password, ...pathname.split('/'), ...search.split(/[?&=]/)].filter(({ length }) => length > 7);
}

function shown(message: string, hidden: readonly string[]): string {
  const [line = ''] = message.split('\n');
  return hidden.reduce((text, part) => text.replaceAll(part, '…'), line).slice(0, 300);
}
