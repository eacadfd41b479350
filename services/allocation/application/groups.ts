import type { IdempotencyKey } from '../../../shared/http/conditions';
import { currentContext } from '../../../shared/logging/context';
import { groupNotFound } from '../domain/errors';
import type { Allocation } from '../domain/inventory';
import type { PoolStore } from '../ports/pool-store';
import type { PoolWriter } from './pool-writer';

interface GroupRequest {
  serviceId: string;
  claims: readonly { poolId: string; capacity: number }[];
  createdBy: string;
  idempotency?: IdempotencyKey | undefined;
  signal?: AbortSignal;
}

/** Allocations over several pools, made in one transaction. A group is what its members say: it has no row of its own. */
export class Groups {
  constructor(
    private readonly store: PoolStore,
    private readonly writer: PoolWriter,
    private readonly newId: () => string,
  ) {}

  /** @returns the group's id. @throws AppError the refusal of the first claim that cannot be met: nothing is held */
  async allocate({ serviceId, claims, createdBy, idempotency, signal }: GroupRequest): Promise<string> {
    const groupId = this.newId();
    const wanted = claims.map((claim) => ({ ...claim, allocationId: this.newId() }));
    const traceparent = currentContext()?.traceparent;
    const order = { groupId, serviceId, createdBy, claims: wanted, idempotency, traceparent };
    return (await this.writer.submit({ kind: 'allocate_group', ...order }, signal)).madeId ?? groupId;
  }

  /** What is still held. @throws AppError `group.not_found` when that is nothing */
  async get(groupId: string): Promise<{ first: Allocation; members: Allocation[] }> {
    const members = await this.store.groupMembers(groupId);
    const [first] = members;
    if (!first) throw groupNotFound(groupId);
    return { first, members };
  }

  /** Gives back what is still held, all at once. @throws AppError `group.not_found` */
  async release(groupId: string, releasedBy: string): Promise<void> {
    const { members } = await this.get(groupId);
    const named = members.map(({ id: allocationId, poolId }) => ({ allocationId, poolId }));
    const traceparent = currentContext()?.traceparent;
    await this.writer.submit({ kind: 'release_group', groupId, members: named, releasedBy, traceparent });
  }
}
