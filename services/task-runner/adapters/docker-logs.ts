import { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { runtimeUnavailable } from '../domain/errors';
import { LONGEST_LINE, type LogLine } from '../ports/container-runtime';

const HEADER_BYTES = 8;

/** Lines of Docker's log stream, until it ends or `signal` aborts. @throws `runtime.unavailable` when it is cut off */
export async function* logLines(
  answer: NodeJS.ReadableStream | Iterable<Buffer>,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const stream = Symbol.asyncIterator in answer ? (answer as Readable) : Readable.from(answer);
  const cut = (): void => void stream.destroy();
  signal.addEventListener('abort', cut, { once: true });
  try {
    if (!signal.aborted) yield* demultiplex(stream);
  } catch (error) {
    if (!signal.aborted) throw runtimeUnavailable(error);
  } finally {
    signal.removeEventListener('abort', cut);
    cut();
  }
}

/**
 * Takes Docker's log stream apart: frames with a header of 8 bytes (which stream, how long), whose content begins with
 * the time (`timestamps: true`). A long line comes in several frames, and a chunk may end anywhere.
 * https://docs.docker.com/reference/api/engine/version/v1.50/#tag/Container/operation/ContainerAttach
 */
async function* demultiplex(chunks: AsyncIterable<Buffer>): AsyncGenerator<LogLine> {
  const begun = { stdout: new Line('stdout'), stderr: new Line('stderr') };
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + rest.readUInt32BE(4);
      if (rest.length < end) break;
      const line = rest[0] === 2 ? begun.stderr : begun.stdout;
      yield* line.take(rest.subarray(HEADER_BYTES, end));
      rest = rest.subarray(end);
    }
  }
  for (const line of [begun.stdout, begun.stderr]) yield* line.end();
}

/** A line that is under way. */
class Line {
  private at: string | undefined;
  private text = '';
  private decoder = new StringDecoder('utf8');

  constructor(private readonly stream: LogLine['stream']) {}

  *take(frame: Buffer): Generator<LogLine> {
    const blank = frame.indexOf(0x20);
    this.at ??= timeOf(frame.subarray(0, blank).toString());
    this.text += this.decoder.write(frame.subarray(blank + 1));
    if (this.text.endsWith('\n')) yield* this.end();
    else if (this.text.length >= LONGEST_LINE) yield* this.flush();
  }

  *end(): Generator<LogLine> {
    this.text += this.decoder.end();
    this.decoder = new StringDecoder('utf8');
    if (this.at !== undefined) yield* this.flush();
  }

  private *flush(): Generator<LogLine> {
    const at = this.at ?? '';
    const text = this.text.replace(/\r?\n$/, '');
    this.at = undefined;
    this.text = '';
    yield { stream: this.stream, at, text: text.slice(0, LONGEST_LINE) };
    for (let from = LONGEST_LINE; from < text.length; from += LONGEST_LINE) {
      yield { stream: this.stream, at, text: text.slice(from, from + LONGEST_LINE) };
    }
  }
}

/** Docker's nanoseconds, cut to what Date holds. */
function timeOf(text: string): string {
  return new Date(text).toISOString();
}
