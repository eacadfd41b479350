import { ConflictError } from '../../dapr/sidecar-error';
import { unavailable } from '../../errors';
import type { Life, Scheduler } from './scheduler';

/** How bad things are: probabilities a call, or a step for crashes; every seed has its own (`swarm testing`). */
export interface Weather {
  lostRequest: number;
  lostAnswer: number;
  conflict: number;
  crash: number;
  /** Milliseconds that a message usually takes; some take far longer. */
  latency: number;
}

export function drawWeather(scheduler: Scheduler): Weather {
  const sometimes = (most: number) => (scheduler.chance(0.3) ? 0 : scheduler.between(0, most));
  return {
    lostRequest: sometimes(0.08),
    lostAnswer: sometimes(0.25),
    conflict: sometimes(0.2),
    crash: sometimes(0.02),
    latency: scheduler.between(1, 20),
  };
}

export const FAIR: Weather = { lostRequest: 0, lostAnswer: 0, conflict: 0, crash: 0, latency: 2 };

/** What the store's callers throw when it does not answer. */
export const NO_ANSWER = 'state_store.unavailable';

/** Carries calls: request and answer are two messages of their own, and any may be late or never come. */
export class Network {
  /** Requests that will yet be carried out. */
  underWay = 0;

  constructor(
    private readonly scheduler: Scheduler,
    public weather: Weather,
  ) {}

  delay(): number {
    const { scheduler } = this;
    const usual = scheduler.between(0.1, this.weather.latency);
    return this.weather !== FAIR && scheduler.chance(0.05) ? usual * 30 : usual;
  }

  /** After which somebody who hears nothing gives up: soon when the connection broke, late when it did not. */
  patience(): number {
    const { scheduler } = this;
    return scheduler.chance(0.5) ? scheduler.between(0, 10) : scheduler.between(100, 3_000);
  }

  /**
   * The methods of `target`, called from afar by `caller`. Without an answer they throw `unavailable`: what was asked for
   * may then be carried out already, or later, or never. So it is too when the caller dies.
   * @param writes the methods that may meet with a conflict for no visible reason (a deadlock, a serialization failure)
   */
  connect<T extends object>(target: T, caller: Life, writes: readonly string[] = []): T {
    return new Proxy(target, {
      get: (_, method: string) => {
        const carryOut = Reflect.get(target, method) as (...args: unknown[]) => Promise<unknown>;
        return (...args: unknown[]) =>
          this.call(caller, method, writes.includes(method), () => carryOut.apply(target, args));
      },
    });
  }

  private call<T>(caller: Life, method: string, writes: boolean, work: () => Promise<T>): Promise<T> {
    const { scheduler } = this;
    const { lostRequest, lostAnswer, conflict } = this.weather;
    const what = `${caller.name} ${method}`;
    return new Promise<T>((resolve, reject) => {
      const answer = (text: string, settle: () => void) =>
        void scheduler.after(this.delay(), `${what}: ${text}`, settle, caller);
      const giveUp = () => {
        const error = unavailable(NO_ANSWER, 'no answer');
        scheduler.after(this.patience(), `${what}: no answer`, () => reject(error), caller);
      };
      const fate = scheduler.random();
      if (fate < lostRequest) return giveUp();
      if (writes && scheduler.chance(conflict)) {
        return answer('conflict of another kind', () => reject(new ConflictError('could not serialize access')));
      }
      const answerLost = fate < lostRequest + lostAnswer;
      if (answerLost) giveUp();
      this.underWay += 1;
      scheduler.after(this.delay(), `${what} arrives`, () => {
        this.underWay -= 1;
        void work().then(
          (value) => {
            if (!answerLost) answer('done', () => resolve(value));
          },
          (error: Error) => {
            scheduler.note(error.message);
            if (!answerLost) answer(error.message, () => reject(error));
          },
        );
      });
    });
  }
}
