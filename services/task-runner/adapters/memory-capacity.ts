import { AppError } from '../../../shared/errors';
import { capacityUnavailable } from '../domain/errors';
import {
  LARGEST_RENEWAL,
  type Capacity,
  type CapacityRequest,
  type HeldCapacity,
  type QueuePlace,
} from '../ports/capacity';

export const LEASE_MS = 300_000;

interface Waiting extends CapacityRequest {
  until: number;
}

/** Pools in memory, strict ones: nobody overtakes who waits. */
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
  private line: Waiting[] = [];
  /** Who waited in vain. */
  private readonly dropped = new Set<string>();

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

  /** Who waits, the next first, by allocation id. */
  get waiting(): string[] {
    this.serve();
    return this.line.map(({ allocationId }) => allocationId);
  }

  async findPool(name: string): Promise<string | undefined> {
    await this.reach();
    return this.pools.get(name)?.id;
  }

  async take(request: CapacityRequest): Promise<QueuePlace | undefined> {
    await this.reach();
    await this.interfere();
    this.serve();
    if (!this.held.has(request.allocationId) && !this.waiting.includes(request.allocationId)) this.grant(request);
    if (this.losesAnswers) throw capacityUnavailable('the answer was lost');
    const index = this.waiting.indexOf(request.allocationId);
    return index === -1 ? undefined : { position: index + 1, reason: 'allocation.insufficient_capacity' };
  }

  async renew(held: readonly HeldCapacity[]): Promise<string[]> {
    await this.reach();
    if (held.length > LARGEST_RENEWAL) throw new Error(`${held.length} in one renewal`);
    const ids = held.map(({ allocationId }) => allocationId);
    this.renewals.push(ids);
    const all = this.held;
    const kept = ids.filter((id) => all.has(id));
    for (const id of kept) this.lease(id);
    return ids.filter((id) => !kept.includes(id));
  }

  async giveBack(allocationId: string): Promise<void> {
    await this.reach();
    this.line = this.line.filter((waiting) => waiting.allocationId !== allocationId);
    this.end(allocationId);
    this.serve();
  }

  private grant(request: CapacityRequest): void {
    const pool = this.poolOf(request);
    if (this.spent.has(request.allocationId)) {
      throw new AppError('conflict', 'allocation.given_back', 'What was taken under this id has been given back.');
    }
    if (this.refusal) throw this.refusal;
    const { allocationId, waitSeconds = 0, priority = 0, units } = request;
    const available = pool.total - this.used(pool.id);
    const ahead = this.line.filter((other) => other.poolId === pool.id && (other.priority ?? 0) >= priority);
    const dropped = this.dropped.has(allocationId);
    if (dropped || units > available || ahead.length > 0) {
      if (waitSeconds > 0 && units <= pool.total && !dropped) {
        const waiting = { ...request, until: Date.parse(this.now()) + waitSeconds * 1000 };
        this.line = [...this.line, waiting].sort((a, b) => (b.priority ?? 0) - (a.priority ?? 0));
        return;
      }
      throw new AppError('conflict', 'allocation.insufficient_capacity', 'Ask for less, or wait.', {
        facts: { requested: request.units, available },
      });
    }
    this.requests.set(request.allocationId, request);
    this.lease(request.allocationId);
  }

  /** As the real pool does it whenever something changes. */
  private serve(): void {
    const now = Date.parse(this.now());
    for (const { allocationId } of this.line.filter(({ until }) => until <= now)) this.dropped.add(allocationId);
    this.line = this.line.filter(({ until }) => until > now);
    const heldUp = new Set<string>();
    for (const next of [...this.line]) {
      const { allocationId, poolId, units } = next;
      if (units > this.poolOf(next).total - this.used(poolId)) heldUp.add(poolId);
      if (heldUp.has(poolId)) continue;
      this.line = this.line.filter((other) => other !== next);
      this.requests.set(allocationId, next);
      this.lease(allocationId);
    }
  }

  private poolOf({ poolId }: CapacityRequest): { id: string; total: number } {
    const pool = [...this.pools.values()].find(({ id }) => id === poolId);
    if (!pool) throw new AppError('not_found', 'pool.not_found', 'There is no such pool.');
    return pool;
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
