import fc from 'fast-check';
import type { PoolCommand } from '../domain/pool-commands';
import { allocate, buildState, decideInPool as decide, NOW, release } from './support/builders';

/** A pool told as simply as can be: who holds how much. */
class Model {
  readonly held = new Map<string, number>();
  total: number | undefined;
  closed = false;

  get allocated(): number {
    return [...this.held.values()].reduce((sum, capacity) => sum + capacity, 0);
  }

  expects(command: PoolCommand): boolean {
    const open = this.total !== undefined && !this.closed;
    switch (command.kind) {
      case 'allocate': {
        const { id, capacity } = command.allocation;
        if (this.held.has(id)) return true;
        if (!open || this.allocated + capacity > this.total!) return false;
        this.held.set(id, capacity);
        return true;
      }
      case 'release':
        return open && this.held.delete(command.allocationId);
      case 'open':
        if (!this.closed) this.total ??= command.total;
        return !this.closed;
      case 'resize':
        if (!open || command.total < this.allocated) return false;
        this.total = command.total;
        return true;
      case 'close':
        if (this.allocated > 0) return false;
        this.closed = true;
        return true;
      default:
        throw new Error(`the model knows no ${command.kind}`);
    }
  }
}

describe('any sequence of commands, in batches of any size', () => {
  const ids = Array.from({ length: 12 }, (_, index) => `00000000-0000-4000-8000-0000000000${index + 10}`);
  // an id names one content: asking again for the same id with another capacity is no request that exists
  const anAllocation = fc.constantFrom(...ids).map((id) => allocate({ id, capacity: (ids.indexOf(id) % 5) + 1 }));
  const aCommand: fc.Arbitrary<PoolCommand> = fc.oneof(
    { weight: 8, arbitrary: anAllocation },
    { weight: 6, arbitrary: fc.constantFrom(...ids).map((id) => release(id)) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('resize' as const),
        total: fc.integer({ min: 1, max: 25 }),
        revision: fc.constant(0),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'open' as const, total: 20, revision: 1 }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'close' as const, revision: 0 }) },
  );

  test('does what the model does: never oversold, and what is held adds up to what is allocated', () => {
    fc.assert(
      fc.property(fc.array(fc.array(aCommand, { maxLength: 8 }), { maxLength: 25 }), (batches) => {
        const model = new Model();
        let revision = 1;
        let state = buildState({ inventory: undefined });
        for (const batch of batches) {
          const commands = batch.map((command) =>
            command.kind === 'resize' || command.kind === 'close' ? { ...command, revision: (revision += 1) } : command,
          );
          const decision = decide(state, commands, NOW);
          expect(decision.outcomes.map(({ ok }) => ok)).toEqual(commands.map((command) => model.expects(command)));
          const allocations = new Map(state.allocations);
          for (const fact of decision.facts) {
            if (fact.kind === 'allocated') allocations.set(fact.allocation.id, fact.allocation);
            if (fact.kind === 'released') allocations.delete(fact.allocation.id);
          }
          state = { ...state, inventory: decision.inventory, allocations };
          expect(new Map([...allocations].map(([id, { capacity }]) => [id, capacity]))).toEqual(model.held);
          if (!state.inventory) continue;
          expect(state.inventory.allocated).toBe(model.allocated);
          expect(state.inventory.allocated).toBeLessThanOrEqual(state.inventory.total);
          if (!model.closed) expect(state.inventory.total).toBe(model.total);
        }
      }),
      { numRuns: 500 },
    );
  });
});
