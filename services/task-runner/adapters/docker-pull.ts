import type { Readable } from 'node:stream';
import { z } from 'zod';
import { AppError } from '../../../shared/errors';
import { imageMissing, pullFailed, runtimeUnavailable } from '../domain/errors';
import type { PullProgress } from '../ports/container-runtime';

/** One line of what Docker tells of a pull, as far as we read it. */
const pullLine = z.object({
  id: z.string().optional(),
  status: z.string().optional(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).optional(),
  error: z.string().optional(),
});
type PullLine = z.output<typeof pullLine>;

interface Layer {
  arrived: number;
  /** Undefined until the registry has told. */
  size: number | undefined;
  unpacked: number;
  done: boolean;
}

/** Sums what Docker tells of each layer. */
export class PullTally {
  private readonly layers = new Map<string, Layer>();
  private percent = 0;

  /** @returns how far it is now; undefined when the line tells of nothing that moved */
  take({ id, status, progressDetail }: PullLine): PullProgress | undefined {
    if (id === undefined || status === undefined) return undefined;
    if (status === 'Pulling fs layer') {
      this.layers.set(id, { arrived: 0, size: undefined, unpacked: 0, done: false });
      return undefined;
    }
    const layer = this.layers.get(id);
    if (!layer || !move(layer, status, progressDetail?.current ?? 0, progressDetail?.total)) return undefined;
    return this.sum();
  }

  private sum(): PullProgress {
    const layers = [...this.layers.values()];
    const sized = layers.flatMap(({ size }) => size ?? []);
    const bytes = layers.reduce((sum, { arrived }) => sum + arrived, 0);
    const totalBytes = sized.reduce((sum, size) => sum + size, 0);
    const mean = sized.length === 0 ? 1 : totalBytes / sized.length;
    const share = (layer: Layer): number => (layer.done ? (layer.size ?? mean) : layer.arrived);
    const whole = layers.reduce((sum, { size }) => sum + (size ?? mean), 0);
    const percent = Math.floor((100 * layers.reduce((sum, layer) => sum + share(layer), 0)) / (whole || 1));
    this.percent = Math.max(this.percent, Math.min(percent, 100));
    return { bytes, totalBytes, percent: this.percent };
  }
}

/** @returns whether the line says that something of the layer has moved */
function move(layer: Layer, status: string, current: number, total: number | undefined): boolean {
  switch (status) {
    case 'Downloading': {
      const more = current > layer.arrived;
      // a download that begins anew after an error begins at nought: what had arrived is not told twice
      layer.arrived = Math.max(layer.arrived, current);
      layer.size ??= total;
      return more;
    }
    case 'Extracting': {
      const more = current > layer.unpacked;
      layer.unpacked = Math.max(layer.unpacked, current);
      return more;
    }
    case 'Download complete':
    case 'Pull complete':
    case 'Already exists': {
      const more = !layer.done;
      layer.arrived = layer.size ?? layer.arrived;
      layer.done = true;
      return more;
    }
    default: // Waiting, Verifying Checksum, Retrying in 3 seconds: nothing arrives
      return false;
  }
}

/**
 * Reads what Docker tells of a pull to its end.
 * @param answer rejects with the status of Docker's answer as `statusCode`, if there was one
 * @throws as `pull` of the port
 */
export async function followPull(
  image: string,
  answer: Promise<NodeJS.ReadableStream>,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const tally = new PullTally();
  let stream: Readable | undefined;
  const cut = (): void => void stream?.destroy();
  signal.addEventListener('abort', cut, { once: true });
  let rest = '';
  try {
    stream = (await answer) as Readable;
    for await (const chunk of stream.setEncoding('utf8')) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines.map(parseLine)) {
        if (line.error !== undefined) throw pullError(image, line.error);
        const progress = tally.take(line);
        if (progress) onProgress(progress);
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AppError) throw error;
    const refused = error instanceof Error && 'statusCode' in error && error.statusCode !== undefined;
    throw refused ? pullError(image, error.message) : runtimeUnavailable(error);
  } finally {
    signal.removeEventListener('abort', cut);
    cut();
  }
  signal.throwIfAborted();
}

function parseLine(line: string): PullLine {
  try {
    return pullLine.safeParse(JSON.parse(line)).data ?? {};
  } catch {
    return {}; // an empty line
  }
}

const NOT_THERE = /not found|manifest unknown|name unknown|does not exist|denied|unauthorized|authentication required/i;
/** What Docker says when no registry answered: names of resolvers, proxies and addresses, which are the host's business. */
const NO_ANSWER = /dial |lookup |connection re|i\/o timeout|context |deadline|EOF|tls:|x509|proxyconnect|no route/i;
const LONGEST_WORDS = 200;

/** What Docker says of a pull that failed, as an error that may be shown. */
export function pullError(image: string, message: string): AppError {
  if (NO_ANSWER.test(message)) return pullFailed(image, 'its registry does not answer', message);
  const words = message
    .replace(/^\(HTTP code \d+\) .*? - /, '')
    // addresses and folders
    .replace(/"?https?:\/\/\S+/g, '…')
    .replace(/(^|\s)\/[\w/.-]+/g, '$1…')
    .trim();
  const short = words.length > LONGEST_WORDS ? `${words.slice(0, LONGEST_WORDS)}…` : words;
  return NOT_THERE.test(message) ? imageMissing(image, short) : pullFailed(image, short, message);
}
