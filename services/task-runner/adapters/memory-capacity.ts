import { AppError } from '../../../shared/errors';
import { capacityUnavailable } from '../domain/errors';
import type { Capacity, CapacityRequest } from '../ports/capacity';

/** Pools in memory. */
export class MemoryCapacity implements Capacity {
  /** What is held, by allocation id. */
  readonly held = new Map<string, CapacityRequest>();
  away = false;
  /** What the pools say to whoever asks for more. */
  refusal: AppError | undefined;
  /** `take` holds the units, but its answer is lost. */
  losesAnswers = false;

  /** @param pools name → id and units */
  constructor(private readonly pools: ReadonlyMap<string, { id: string; total: number }>) {}

  async findPool(name: string): Promise<string | undefined> {
    await this.reach();
    return this.pools.get(name)?.id;
  }

  async take(request: CapacityRequest): Promise<void> {
    await this.reach();
    const pool = [...this.pools.values()].find(({ id }) => id === request.poolId);
    if (!pool) throw new AppError('not_found', 'pool.not_found', 'There is no such pool.');
    if (this.refusal && !this.held.has(request.allocationId)) throw this.refusal;
    const available = pool.total - this.used(pool.id);
    if (!this.held.has(request.allocationId) && request.units > available) {
      throw new AppError('conflict', 'allocation.insufficient_capacity', 'Ask for less, or wait.', {
        facts: { requested: request.units, available },
      });
    }
    this.held.set(request.allocationId, request);
    if (this.losesAnswers) throw capacityUnavailable('the answer was lost');
  }

  async giveBack(allocationId: string): Promise<void> {
    await this.reach();
    this.held.delete(allocationId);
  }

  private used(poolId: string): number {
    return [...this.held.values()].reduce((sum, { poolId: of, units }) => sum + (of === poolId ? units : 0), 0);
  }

  private async reach(): Promise<void> {
    await Promise.resolve();
    if (this.away) throw capacityUnavailable('memory capacity is away');
  }
}
