import { z } from 'zod';

const TIMEOUT_MS = 10_000;

const reply = z.object({ result: z.unknown().optional(), error: z.object({ message: z.string() }).optional() });

/** A question to a chain. @throws with a reason in words when there is no answer */
export type AskChain = (method: string, params: unknown[]) => Promise<unknown>;

/** The URL is in no message: it may hold a key. */
export function chainAt(url: string): AskChain {
  return async (method, params) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch(() => {
      throw new Error('the chain does not answer');
    });
    const { result, error } = reply.safeParse(await response.json().catch(() => null)).data ?? {};
    if (error) throw new Error(`the chain refuses ${method}: ${error.message}`);
    if (result === undefined) throw new Error(`the chain answers ${method} with what is no JSON-RPC`);
    return result;
  };
}
