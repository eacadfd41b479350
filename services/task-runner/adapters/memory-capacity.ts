import { AppError } from '../../../shared/errors';
import { capacityUnavailable } from '../domain/errors';
import { LARGEST_RENEWAL, type Capacity, type CapacityRequest, type HeldCapacity } from '../ports/capacity';

export const LEASE_MS = 300_000;

/** Pools in memory. */
export class MemoryCapacity implements Capacity {
  /** Every renewal that came, as its allocation ids. */
  readonly renewals: string[][] = [];
  away = false;
  /** What the pools say to whoever asks for more. */
  refusal: AppError | undefined;
  /** `take` holds the units, but its answer is lost. */
  losesAnswers = false;
  /** Called when a `take` has arrived, before it is decided. */
  interfere: () => void | Promise<void> = () => {};

  private readonly requests = new Map<string, CapacityRequest>();
  private readonly ends = new Map<string, number>();
  private readonly spent = new Set<string>();

  /** @param pools name → id and units */
  constructor(
    private readonly pools: ReadonlyMap<string, { id: string; total: number }>,
    private readonly now: () => string,
  ) {}

  /** What is held, by allocation id. */
  get held(): Map<string, CapacityRequest> {
    for (const [id, end] of this.ends) if (end <= Date.parse(this.now())) this.end(id);
    return this.requests;
  }

  async findPool(name: string): Promise<string | undefined> {
    await this.reach();
    return this.pools.get(name)?.id;
  }

  async take(request: CapacityRequest): Promise<void> {
    await this.reach();
    await this.interfere();
    const pool = [...this.pools.values()].find(({ id }) => id === request.poolId);
    if (!pool) throw new AppError('not_found', 'pool.not_found', 'There is no such pool.');
    if (!this.held.has(request.allocationId)) this.grant(request, pool);
    if (this.losesAnswers) throw capacityUnavailable('the answer was lost');
  }

  async renew(held: readonly HeldCapacity[]): Promise<string[]> {
    await this.reach();
    if (held.length > LARGEST_RENEWAL) throw new Error(`${held.length} in one renewal`);
    const ids = held.map(({ allocationId }) => allocationId);
    this.renewals.push(ids);
    const kept = ids.filter((id) => this.held.has(id));
    for (const id of kept) this.lease(id);
    return ids.filter((id) => !kept.includes(id));
  }

  async giveBack(allocationId: string): Promise<void> {
    await this.reach();
    this.end(allocationId);
  }

  private grant(request: CapacityRequest, pool: { id: string; total: number }): void {
    if (this.spent.has(request.allocationId)) {
      throw new AppError('conflict', 'allocation.given_back', 'What was taken under this id has been given back.');
    }
    if (this.refusal) throw this.refusal;
    const available = pool.total - this.used(pool.id);
    if (request.units > available) {
      throw new AppError('conflict', 'allocation.insufficient_capacity', 'Ask for less, or wait.', {
        facts: { requested: request.units, available },
      });
    }
    this.requests.set(request.allocationId, request);
    this.lease(request.allocationId);
  }

  private lease(allocationId: string): void {
    this.ends.set(allocationId, Date.parse(this.now()) + LEASE_MS);
  }

  private end(allocationId: string): void {
    this.requests.delete(allocationId);
    this.ends.delete(allocationId);
    this.spent.add(allocationId);
  }

  private used(poolId: string): number {
    return [...this.held.values()].reduce((sum, { poolId: of, units }) => sum + (of === poolId ? units : 0), 0);
  }

  private async reach(): Promise<void> {
    await Promise.resolve();
    if (this.away) throw capacityUnavailable('memory capacity is away');
  }
}
