import net from 'node:net';

export interface Answer {
  status: number;
  body: string;
}

/**
 * One kept HTTP/1.1 connection, one request at a time. By hand, because clients share the machine with what they measure:
 * `node:http` costs a client as much CPU as the service spends on the request.
 */
export class Connection {
  private received = '';
  private waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;

  private constructor(
    private readonly socket: net.Socket,
    private readonly headers: string,
  ) {
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text: string) => this.read(text));
    socket.on('close', () => this.waiting?.reject(new Error('the service closed the connection')));
    socket.on('error', (error) => this.waiting?.reject(error));
  }

  static async open(url: string, token: string): Promise<Connection> {
    const { hostname, port, host } = new URL(url);
    const socket = net.connect(Number(port), hostname);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Connection(socket, `Host: ${host}\r\nAuthorization: Bearer ${token}\r\n`);
  }

  request(method: string, path: string, body = ''): Promise<Answer> {
    const content = body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(`${method} ${path} HTTP/1.1\r\n${this.headers}${content}\r\n${body}`);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private read(text: string): void {
    this.received += text;
    const end = this.received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.received.slice(0, end))?.[1] ?? 0);
    if (this.received.length < end + 4 + length) return;
    const answer = { status: Number(this.received.slice(9, 12)), body: this.received.slice(end + 4, end + 4 + length) };
    this.received = '';
    this.waiting?.resolve(answer);
  }
}
