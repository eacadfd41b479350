import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'express';

/**
 * Sends what comes, as fast as the client reads, until it ends or the client hangs up. What the stream throws is thrown:
 * then the answer is half-way out already.
 */
export async function sendStream(response: Response, mediaType: string, pieces: AsyncIterable<string>): Promise<void> {
  response.setHeader('Content-Type', `${mediaType}; charset=utf-8`);
  // a proxy that gathers pieces would make a stream of it that comes at the end
  response.setHeader('X-Accel-Buffering', 'no');
  if (response.req.method === 'HEAD') return void response.end();
  response.flushHeaders();
  try {
    await pipeline(Readable.from(pieces), response);
  } catch (error) {
    const hungUp = error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
    if (!hungUp) throw error;
  }
}

/** One event in the form of https://html.spec.whatwg.org/multipage/server-sent-events.html. */
export function serverSentEvent(name: string, data: unknown, id?: number): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
