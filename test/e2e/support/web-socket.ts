import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import type { Duplex } from 'node:stream';

const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
const FINAL = 0x80;
const MASKED = 0x80;

interface Frame {
  final: boolean;
  kind: number;
  payload: Buffer;
  /** bytes of it, head included */
  length: number;
}

/** A client for text messages, as RFC 6455 has it: Node 20 comes with none. */
export class WebSocketClient {
  /** What came, in order; whoever reads takes from it. */
  readonly messages: string[] = [];
  isOpen = true;
  private unread = Buffer.alloc(0);
  private parts: Buffer[] = [];

  private constructor(
    private readonly socket: Duplex,
    head: Buffer,
  ) {
    socket.on('data', (data: Buffer) => this.read(data));
    socket.on('close', () => (this.isOpen = false));
    socket.on('error', () => (this.isOpen = false)); // the other side is gone
    this.read(head);
  }

  /** @throws when the server answers anything but the upgrade */
  static open(url: string, headers: Record<string, string>): Promise<WebSocketClient> {
    const key = randomBytes(16).toString('base64');
    const upgrade = {
      ...{ Connection: 'Upgrade', Upgrade: 'websocket' },
      ...{ 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': key },
    };
    return new Promise((resolve, reject) => {
      const request = http.get(url, { headers: { ...headers, ...upgrade } });
      request.on('error', reject);
      request.on('response', ({ statusCode }) => reject(new Error(`${url} answered ${statusCode}, not a WebSocket`)));
      request.on('upgrade', (response, socket, head) => {
        const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
        if (response.headers['sec-websocket-accept'] === accept) resolve(new WebSocketClient(socket, head));
        else reject(new Error(`${url} accepted another WebSocket than was asked for`));
      });
    });
  }

  send(text: string): void {
    this.write(TEXT, Buffer.from(text));
  }

  close(): void {
    this.write(CLOSE, Buffer.alloc(0));
    this.socket.end();
  }

  private read(data: Buffer): void {
    this.unread = Buffer.concat([this.unread, data]);
    for (let frame = firstFrame(this.unread); frame; frame = firstFrame(this.unread)) {
      this.unread = this.unread.subarray(frame.length);
      this.take(frame);
    }
  }

  private take({ final, kind, payload }: Frame): void {
    if (kind === PING) this.write(PONG, payload);
    else if (kind === CLOSE) this.socket.end();
    else if (kind !== PONG) {
      this.parts.push(payload);
      if (final) this.messages.push(Buffer.concat(this.parts.splice(0)).toString());
    }
  }

  /** A client's frames are masked. */
  private write(kind: number, payload: Buffer): void {
    const mask = randomBytes(4);
    const masked = payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0));
    this.socket.write(Buffer.concat([Buffer.from([FINAL | kind]), lengthOf(payload), mask, masked]));
  }
}

function lengthOf({ length }: Buffer): Buffer {
  if (length < 126) return Buffer.from([MASKED | length]);
  const long = length >= 0x10000;
  const bytes = Buffer.alloc(long ? 9 : 3);
  bytes[0] = MASKED | (long ? 127 : 126);
  if (long) bytes.writeBigUInt64BE(BigInt(length), 1);
  else bytes.writeUInt16BE(length, 1);
  return bytes;
}

/** Undefined until it is there as a whole. A server's frames are not masked. */
function firstFrame(data: Buffer): Frame | undefined {
  if (data.length < 2) return undefined;
  const [first, short] = [data.readUInt8(0), data.readUInt8(1)];
  const head = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (data.length < head) return undefined;
  const size = head === 10 ? Number(data.readBigUInt64BE(2)) : head === 4 ? data.readUInt16BE(2) : short;
  if (data.length < head + size) return undefined;
  const payload = data.subarray(head, head + size);
  return { final: (first & FINAL) !== 0, kind: first & 0xf, payload, length: head + size };
}
