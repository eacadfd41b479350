import http, { type IncomingHttpHeaders } from 'node:http';
import type { WireRequest } from './requests';

export interface WireAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** The client hung up before the end, as on a stream that does not end. */
  cut: boolean;
}

/** One connection to one server; answers that take longer than `patienceMs` are cut off, and are what came until then. */
export class WireClient {
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

  constructor(private readonly port: number) {}

  send({ method, path, headers, body }: WireRequest, patienceMs: number): Promise<WireAnswer | undefined> {
    return new Promise((resolve, reject) => {
      const target = { host: '127.0.0.1', port: this.port, agent: this.#agent, method, path, headers };
      let answer: WireAnswer | undefined;
      const request = http.request(target, (response) => {
        const got: WireAnswer = { status: response.statusCode ?? 0, headers: response.headers, text: '', cut: false };
        answer = got;
        response.setEncoding('utf8').on('data', (piece: string) => (got.text += piece));
        response.on('end', () => done(got));
        response.on('error', () => done({ ...got, cut: true }));
      });
      const timer = setTimeout(() => {
        done(answer && { ...answer, cut: true });
        request.destroy();
      }, patienceMs);
      const done = (result: WireAnswer | undefined): void => {
        clearTimeout(timer);
        resolve(result);
      };
      request.on('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      request.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
