import { capacityOf, DEFAULT_TERMS, type Terms } from '../../../../shared/contracts/inventory';
import type { PoolCommand } from '../../domain/pool-commands';
import type { Answer, Wish } from './chronicle';
import type { World } from './world';

type Change = Extract<PoolCommand, { kind: 'open' | 'resize' | 'close' }>;
/** What somebody hears who repeats a change after a later one. */
const OVERTAKEN = ['pool.change_superseded', 'pool.not_found'];
const REFUSALS = ['pool.capacity_below_allocated', 'pool.in_use', ...OVERTAKEN];

/** Asks for changes of one pool as `resource-pool` does: numbered, one after the other, each until it is decided. */
export async function administer(world: World, poolId: string, changes: number): Promise<void> {
  const { scheduler, chronicle } = world;
  await change(world, poolId, { kind: 'open', ...drawTerms(world), state: 'open', revision: 1 });
  for (let revision = 2; revision < changes + 2; revision += 1) {
    await scheduler.sleep(scheduler.between(0, 2_000), `administrator of ${poolId.slice(0, 2)} thinks`);
    if (world.quiet) return;
    if (scheduler.chance(0.15)) {
      await change(world, poolId, { kind: 'close', revision });
      continue;
    }
    const mode = scheduler.pick(['refuse', 'refuse', 'allow', 'drain'] as const);
    if (mode !== 'refuse') chronicle.overAsked.add(poolId);
    await change(world, poolId, { kind: 'resize', ...drawTerms(world), mode, revision });
  }
}

function drawTerms({ scheduler }: World): Terms {
  const state = scheduler.pick(['open', 'open', 'open', 'open', 'cordoned', 'draining'] as const);
  const queuePolicy = scheduler.pick(['strict', 'best_effort'] as const);
  const usual = { ...DEFAULT_TERMS, total: scheduler.whole(3, 12), state, queuePolicy };
  if (scheduler.chance(0.7)) return usual;
  return {
    ...usual,
    reserved: scheduler.whole(0, 2),
    allocationRatio: scheduler.pick([1, 1.5]),
    maxUnit: scheduler.pick([null, 3]),
    stepSize: scheduler.pick([1, 2]),
  };
}

async function change(world: World, poolId: string, command: Change): Promise<void> {
  const { scheduler, cluster, chronicle } = world;
  let decided: Answer | undefined;
  const wish: Wish = chronicle.wish({
    token: scheduler.uuid(),
    what: `${command.kind} ${poolId.slice(0, 2)} #${command.revision}`,
    once: true,
    refusals: REFUSALS,
    verify: (answer) => {
      if (answer.kind === 'refused' && OVERTAKEN.includes(answer.code)) return overtaken(world, poolId, command);
      // whoever repeats a refused one may hear that a later one has done it
      if (answer.kind === 'done' && command.kind === 'close') return isClosed(world, poolId);
      const [earlier, now] = [decided ?? answer, answer].map((one) => (one.kind === 'refused' ? one.code : one.kind));
      decided = answer;
      return earlier === now ? takenOver(world, poolId, command, answer) : `${earlier} became ${now}`;
    },
  });
  const insist = async (): Promise<void> => {
    for (;;) {
      const answer = await cluster.ask('administrator', wish, async ({ writer }) => {
        await writer.execute(poolId, command);
      });
      if (answer.kind !== 'lost') return;
      await scheduler.sleep(scheduler.between(0, 300), 'administrator asks again');
    }
  };
  // a repetition may still be on its way when the next change is asked for
  const again = scheduler.chance(0.2)
    ? scheduler.sleep(scheduler.between(0, 3_000), 'administrator repeats').then(insist)
    : undefined;
  await insist();
  if (scheduler.chance(0.5)) await again;
}

function overtaken({ chronicle }: World, poolId: string, { revision }: Change): string | undefined {
  const inventory = chronicle.content.inventories.get(poolId);
  const late = inventory && (inventory.revision > revision || inventory.state === 'closed');
  return late ? undefined : 'nothing has overtaken it';
}

function isClosed({ chronicle }: World, poolId: string): string | undefined {
  const state = chronicle.content.inventories.get(poolId)?.state;
  return state === 'closed' ? undefined : `the pool is ${state}`;
}

/** The terms are those that were asked for, while no later change has come. */
function takenOver({ chronicle }: World, poolId: string, command: Change, answer: Answer): string | undefined {
  const inventory = chronicle.content.inventories.get(poolId);
  if (!inventory) return 'the pool is not there';
  if (inventory.revision !== command.revision || answer.kind !== 'done' || command.kind === 'close') return undefined;
  const wanted = capacityOf({ ...DEFAULT_TERMS, ...command });
  return capacityOf(inventory) === wanted ? undefined : `the capacity is ${capacityOf(inventory)}, not ${wanted}`;
}
