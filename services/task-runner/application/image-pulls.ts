import { pullFailed } from '../domain/errors';
import type { ContainerRuntime, PullProgress } from '../ports/container-runtime';

type OnProgress = (progress: PullProgress) => void;

interface Pull {
  done: Promise<void>;
  cut: AbortController;
  callers: Set<OnProgress>;
  last: PullProgress | undefined;
}

/** A pull in which nothing moves for so long has failed. */
const SILENCE_MS = 60_000;

/** Pulls of images: however many wait for one, it is pulled once, and given up when nothing moves or nobody waits any more. */
export class ImagePulls {
  private readonly underWay = new Map<string, Pull>();

  constructor(
    private readonly runtime: Pick<ContainerRuntime, 'pull'>,
    private readonly silenceMs = SILENCE_MS,
  ) {}

  /**
   * After it, the image is there. `onProgress` hears at once how far the pull is already. Rejects with the signal's reason
   * as soon as it aborts; for others who wait the pull goes on.
   * @throws as `pull` of the runtime; `runtime.pull_failed` also when nothing moved for too long
   */
  async pull(image: string, onProgress: OnProgress, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const pull = this.underWay.get(image) ?? this.begin(image);
    const tell: OnProgress = (progress) => onProgress(progress);
    pull.callers.add(tell);
    if (pull.last) onProgress(pull.last);
    let leave = (): void => undefined;
    const left = new Promise<never>((_, reject) => {
      leave = () => reject(signal.reason as Error);
      signal.addEventListener('abort', leave, { once: true });
    });
    try {
      await Promise.race([pull.done, left]);
    } finally {
      signal.removeEventListener('abort', leave);
      pull.callers.delete(tell);
      if (pull.callers.size === 0) this.end(image, pull);
    }
  }

  private begin(image: string): Pull {
    const cut = new AbortController();
    const fail = (): void =>
      cut.abort(
        pullFailed(image, `nothing arrived from its registry for ${Math.round(this.silenceMs / 1000)} seconds`),
      );
    let timer = setTimeout(fail, this.silenceMs).unref();
    const hear = (progress: PullProgress): void => {
      clearTimeout(timer);
      timer = setTimeout(fail, this.silenceMs).unref();
      pull.last = progress;
      for (const caller of pull.callers) caller(progress);
    };
    const done = this.runtime.pull(image, hear, cut.signal).finally(() => clearTimeout(timer));
    const pull: Pull = { done, cut, callers: new Set(), last: undefined };
    // whoever waits hears of a failure; when all have left, nobody need
    done.catch(() => undefined);
    this.underWay.set(image, pull);
    return pull;
  }

  /** Nobody waits for it any more: it is done, or cut off. Whoever comes now begins another. */
  private end(image: string, pull: Pull): void {
    if (this.underWay.get(image) === pull) this.underWay.delete(image);
    pull.cut.abort(new Error('nobody waits for this image any more'));
  }
}
