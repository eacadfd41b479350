import type { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import { startProcess, type Process, type ReplicaParts } from './replica';

/** The replicas of the service, which die, are stopped, and come back. */
export class Cluster {
  private readonly processes: (Process | undefined)[];
  private readonly scheduler: Scheduler;
  private starts = 0;

  constructor(
    replicas: number,
    private readonly parts: ReplicaParts & { count: (what: string) => void },
  ) {
    this.scheduler = parts.scheduler;
    this.processes = Array.from({ length: replicas }, () => undefined);
    this.startAll();
  }

  startAll(): void {
    this.processes.forEach((_, index) => this.start(index));
  }

  /** One that lives; which one is chance. */
  any(): Process | undefined {
    return this.processes[this.scheduler.whole(0, this.processes.length - 1)];
  }

  /** Kills one of them, or stops it as a new version is rolled out; it comes back by itself. */
  endOne(): void {
    const { scheduler } = this;
    const index = scheduler.whole(0, this.processes.length - 1);
    if (scheduler.chance(0.7)) scheduler.after(0, `replica ${index} dies`, () => this.die(index, 'crash'));
    else scheduler.after(0, `replica ${index} is stopped`, () => this.stop(index));
  }

  private stop(index: number): void {
    const process = this.processes[index];
    if (!process) return;
    let isOver = false;
    const end = () => {
      if (isOver || this.processes[index] !== process) return;
      isOver = true;
      this.die(index, 'stopped');
    };
    void process.stop().then(end);
    // who waits for it has no more patience
    this.scheduler.after(2_000, `replica ${index} is killed`, end);
  }

  private die(index: number, how: string): void {
    const process = this.processes[index];
    if (!process) return;
    this.parts.count(how);
    process.alive = false;
    this.processes[index] = undefined;
    const pause = this.scheduler.between(10, 1_500);
    this.scheduler.after(pause, `replica ${index} comes back`, () => this.start(index));
  }

  private start(index: number): void {
    if (this.processes[index]) return;
    this.starts += 1;
    this.processes[index] = startProcess(`replica ${index}.${this.starts}`, this.parts);
  }
}
