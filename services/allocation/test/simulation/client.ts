import type { Call } from './cluster';
import type { Answer, Wish } from './chronicle';
import type { World } from './world';

/** Does one thing after the other, most of them again until it has an answer. */
export class Client {
  constructor(
    readonly name: string,
    readonly world: World,
  ) {}

  async run(requests: number, actions: readonly ((client: Client) => Promise<void>)[]): Promise<void> {
    const { scheduler } = this.world;
    for (let done = 0; done < requests; done += 1) {
      await scheduler.sleep(scheduler.between(0, 400), `${this.name} thinks`);
      if (this.world.quiet) return;
      await scheduler.pick(actions)(this);
    }
  }

  /** Sends it until there is an answer, to any replica; or once, or twice at the same time, or it hangs up. */
  async ask(wish: Wish, call: Call): Promise<Answer> {
    const { scheduler, cluster, chronicle } = this.world;
    chronicle.wish(wish);
    const insist = async (): Promise<Answer> => {
      for (;;) {
        const answer = await cluster.ask(this.name, wish, call);
        if (answer.kind !== 'lost') return answer;
        await scheduler.sleep(scheduler.between(0, 200), `${this.name} asks again`);
      }
    };
    const manner = scheduler.whole(1, 10);
    if (manner === 1) return cluster.ask(this.name, wish, call, scheduler.between(0, 100));
    if (manner <= 3) return cluster.ask(this.name, wish, call);
    const answers = manner <= 5 && wish.once ? [insist(), insist()] : [insist()];
    return (await Promise.all(answers))[0]!;
  }
}
