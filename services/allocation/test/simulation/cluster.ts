import type { Network } from '../../../../shared/testing/simulation/network';
import type { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import type { PoolStore } from '../../ports/pool-store';
import type { RelaySide } from './database';
import { type Answer, answerOf, type Chronicle, LOST, type Send, type Wish } from './chronicle';
import { type Plant, type Process, startProcess } from './replica';

/** What it comes to: the id of what was made, and whether that is a request that waits. */
type Result = { id: string; waits: boolean } | string | void;
export type Call = (process: Process, signal: AbortSignal) => Promise<Result>;

/** Two replicas of the service, which die and come back, and the way of clients to them. */
export class Cluster {
  /** What went wrong with an answer, first one first. */
  readonly faults: string[] = [];
  private readonly processes: (Process | undefined)[] = [undefined, undefined];
  /** Requests that a living replica has taken, and whose client waits for the answer. */
  readonly open = new Set<Send>();
  private starts = 0;

  constructor(
    private readonly parts: {
      scheduler: Scheduler;
      network: Network;
      chronicle: Chronicle;
      store: PoolStore;
      broker: RelaySide;
      plant: Plant;
    },
  ) {
    this.startAll();
  }

  startAll(): void {
    this.processes.forEach((_, index) => this.start(index));
  }

  /** Kills one of them; it comes back by itself. */
  crashOne(): void {
    const { scheduler, chronicle } = this.parts;
    const index = scheduler.whole(0, this.processes.length - 1);
    scheduler.after(0, `replica ${index} dies`, () => {
      const process = this.processes[index];
      if (!process) return;
      chronicle.count('crash');
      process.alive = false;
      this.processes[index] = undefined;
      for (const mourn of process.mourners) mourn();
      scheduler.after(scheduler.between(10, 1_500), `replica ${index} comes back`, () => this.start(index));
    });
  }

  private start(index: number): void {
    if (this.processes[index]) return;
    this.starts += 1;
    this.processes[index] = startProcess(`replica ${index}.${this.starts}`, this.parts);
  }

  /** Sends a request to one of the replicas; the client may hang up before it has an answer. Always resolves. */
  ask(from: string, wish: Wish, call: Call, hangUpAfter?: number): Promise<Answer> {
    const { scheduler, network, chronicle, plant } = this.parts;
    const index = scheduler.whole(0, this.processes.length - 1);
    const what = `${from} ${wish.what}`;
    const gone = new AbortController();
    return new Promise((resolve) => {
      const hear = (answer: Answer) => {
        const text = answer.kind === 'refused' ? answer.code : answer.kind;
        scheduler.after(network.delay(), `${what}: ${text}`, () => resolve(answer));
      };
      scheduler.after(network.delay(), `${what} reaches replica ${index}`, () => {
        const process = this.processes[index];
        if (!process || gone.signal.aborted) return hear(LOST);
        const send = chronicle.send(wish);
        this.open.add(send);
        const leave = () => {
          this.open.delete(send);
          process.mourners.delete(die);
        };
        const die = () => {
          leave();
          hear(LOST);
        };
        process.mourners.add(die);
        gone.signal.addEventListener('abort', () => {
          if (!process.alive || !this.open.has(send)) return;
          leave();
          if (!send.ids.some((id) => process.hasBegun(id))) chronicle.hungUp(send);
        });
        const signal = plant.hears?.(gone.signal) ?? gone.signal;
        const { result, ids } = process.drawing(() => call(process, signal));
        chronicle.drew(send, ids);
        void result.then(doneWith, answerOf).then(
          (answer) => {
            const fault = chronicle.answered(send, answer);
            if (fault !== undefined) this.faults.push(`${what}: ${fault}`);
            leave();
            hear(scheduler.chance(network.weather.lostAnswer) ? LOST : answer);
          },
          (bug: Error) => {
            this.faults.push(`${what} failed: ${bug.message}`);
          },
        );
      });
      if (hangUpAfter === undefined) return;
      scheduler.after(hangUpAfter, `${what}: hangs up`, () => {
        gone.abort();
        resolve(LOST);
      });
    });
  }
}

function doneWith(result: Result): Answer {
  if (typeof result !== 'object') return { kind: 'done', value: result ?? undefined };
  return { kind: 'done', value: result.id, waits: result.waits };
}
