import { randomUUID } from 'node:crypto';
import { eventually } from './system';
import { WebSocketClient } from './web-socket';

interface Message {
  msg_type: string;
  parent_header: { msg_id?: string };
  content: Record<string, unknown>;
}

/** What a browser says of itself with every question, in its length. */
const BROWSER = {
  'User-Agent': `Mozilla/5.0 ${'-'.repeat(100)}`,
  'Accept-Language': 'en-US,en;q=0.9',
  'X-XSRFToken': '-'.repeat(80),
  'Sec-CH-UA': '-'.repeat(70),
};

/** What a browser with the page of a Jupyter task does: its REST API, and its kernels over their WebSocket. */
export class JupyterClient {
  private readonly origin: string;
  readonly token: string;

  /** @param iframeUrl of the task, with its token */
  constructor(iframeUrl: string) {
    const url = new URL(iframeUrl);
    this.origin = url.origin;
    this.token = url.searchParams.get('token') ?? '';
  }

  /** @param token another one, or none */
  call(method: 'GET' | 'POST', path: string, token: string | null = this.token): Promise<Response> {
    const headers = token === null ? {} : { Authorization: `token ${token}` };
    return fetch(`${this.origin}${path}`, { method, headers, signal: AbortSignal.timeout(20_000) });
  }

  /** What an open page goes on asking by itself, each of these every 10 s, until the server is gone. @returns what was answered */
  async openPage(): Promise<{ answers: number }> {
    const page = await fetch(`${this.origin}/lab?token=${this.token}`);
    const cookies = page.headers.getSetCookie().map((cookie) => cookie.split(';')[0]);
    const headers = { ...BROWSER, Cookie: cookies.join('; '), Referer: `${this.origin}/lab` };
    const state = { asked: 0, answers: 0 };
    const ask = async (): Promise<void> => {
      const what = ['kernels', 'sessions', 'terminals', 'contents/work?content=1&hash=0'][state.asked++ % 4];
      const answer = await fetch(`${this.origin}/api/${what}`, { headers });
      await answer.text();
      if (answer.ok) state.answers++;
    };
    const timer = setInterval(() => void ask().catch(() => clearInterval(timer)), 2_500);
    return state;
  }

  async startKernel(): Promise<Kernel> {
    const answer = await this.call('POST', '/api/kernels');
    if (answer.status !== 201) throw new Error(`no kernel: ${answer.status} ${await answer.text()}`);
    const { id } = (await answer.json()) as { id: string };
    const headers = { Authorization: `token ${this.token}`, Origin: this.origin };
    return new Kernel(await WebSocketClient.open(`${this.origin}/api/kernels/${id}/channels`, headers));
  }
}

export class Kernel {
  private readonly session = randomUUID();

  constructor(private readonly socket: WebSocketClient) {}

  get isConnected(): boolean {
    return this.socket.isOpen;
  }

  /** Runs code; returns all that the kernel says of it, until it is idle again. */
  async execute(code: string, timeoutMs = 30_000): Promise<Message[]> {
    const header = { msg_id: randomUUID(), username: '', session: this.session, msg_type: 'execute_request' };
    const content = { code, silent: false, store_history: true, user_expressions: {}, allow_stdin: false };
    const request = { channel: 'shell', parent_header: {}, metadata: {}, buffers: [], content };
    this.socket.send(JSON.stringify({ ...request, header: { ...header, version: '5.3', date: new Date() } }));
    const said: Message[] = [];
    const isDone = (): boolean => {
      const news = this.socket.messages.splice(0).map((text) => JSON.parse(text) as Message);
      said.push(...news.filter(({ parent_header: { msg_id: id } }) => id === header.msg_id));
      const isIdle = said.some(
        (message) => message.msg_type === 'status' && message.content.execution_state === 'idle',
      );
      return isIdle && said.some((message) => message.msg_type === 'execute_reply');
    };
    await eventually(`the kernel has run ${code}`, isDone, timeoutMs);
    return said;
  }
}
