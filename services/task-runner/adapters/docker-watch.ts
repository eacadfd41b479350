import { Readable } from 'node:stream';
import { z } from 'zod';
import { runtimeUnavailable } from '../domain/errors';
import type { ContainerExit } from '../ports/container-runtime';
import { LABEL } from './docker-container';

/** One line of Docker's event stream, as far as we read it. */
const containerEvent = z.object({
  Action: z.string(),
  time: z.number(),
  timeNano: z.number().optional(),
  Actor: z.object({ Attributes: z.record(z.string(), z.string()) }),
});

/** An engine that says nothing may have nothing to say, or be cut off: asked this often, it must answer. */
const PULSE_MS = 5_000;

/**
 * Reads Docker's event stream (one JSON document a line) and tells each end of a container.
 * Resolves when `signal` aborts, rejects with `runtime.unavailable` when the stream ends or the pulse fails.
 */
export async function watchExits(
  stream: NodeJS.ReadableStream,
  handlers: { onReady: () => void; onExit: (exit: ContainerExit) => void },
  signal: AbortSignal,
  pulse: () => Promise<void>,
): Promise<void> {
  let cleanUp = (): void => {};
  const done = new Promise<void>((resolve, reject) => {
    const fail = (cause: unknown): void => reject(runtimeUnavailable(cause));
    const timer = setInterval(() => void pulse().catch(fail), PULSE_MS);
    const stop = (): void => resolve();
    signal.addEventListener('abort', stop, { once: true });
    stream.once('error', fail);
    stream.once('end', () => fail('the event stream ended'));
    stream.once('close', () => fail('the event stream was cut'));
    let rest = '';
    // Docker tells first that memory ran out, and then, perhaps, that the container has ended
    const outOfMemory = new Set<string>();
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const exit of lines.flatMap((line) => exitOf(line, outOfMemory))) handlers.onExit(exit);
    });
    cleanUp = () => {
      clearInterval(timer);
      signal.removeEventListener('abort', stop);
    };
  });
  try {
    if (signal.aborted) return;
    handlers.onReady();
    await done;
  } finally {
    cleanUp();
    if (stream instanceof Readable) stream.destroy();
  }
}

/** A line that is no such event says nothing of ours; what it would have told, the next round of looking finds. */
function exitOf(line: string, outOfMemory: Set<string>): ContainerExit[] {
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch {
    return [];
  }
  const parsed = containerEvent.safeParse(raw);
  const taskId = parsed.data?.Actor.Attributes[LABEL.task];
  if (!parsed.success || taskId === undefined) return [];
  const { Action, time, timeNano, Actor } = parsed.data;
  if (Action === 'oom') {
    outOfMemory.add(taskId);
    return [];
  }
  const exitCode = Number(Actor.Attributes['exitCode']);
  return [
    {
      taskId,
      exitCode: Number.isInteger(exitCode) ? exitCode : null,
      at: new Date(timeNano === undefined ? time * 1000 : Math.floor(timeNano / 1e6)).toISOString(),
      oomKilled: outOfMemory.delete(taskId),
    },
  ];
}
