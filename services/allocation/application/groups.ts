import { REFUSED_GRANTS } from '../../../shared/contracts/inventory';
import { AppError, unavailable } from '../../../shared/errors';
import { checkFingerprint, type IdempotencyKey } from '../../../shared/http/conditions';
import { groupNotFound } from '../domain/errors';
import type { Allocation, Inventory } from '../domain/inventory';
import { type Kind, place, type WantedClaim } from '../domain/placement';
import type { PoolStore } from '../ports/pool-store';
import type { PoolWriter } from './pool-writer';

interface GroupRequest {
  serviceId: string;
  claims: readonly WantedClaim[];
  createdBy: string;
  idempotency?: IdempotencyKey | undefined;
  signal?: AbortSignal;
}

/** Takes the pools, one for each claim. */
type Submit = (poolIds: readonly string[]) => Promise<string>;

/** Each one that fails means that somebody else was granted what had been chosen. */
const ATTEMPTS = 20;
/** So many may wait to choose anew; beyond it callers are told to come later. */
const LINE = 500;

/** Allocations over several pools, made in one transaction. A group is what its members say: it has no row of its own. */
export class Groups {
  /** Ends with the last of those who choose anew. */
  private lastTurn: Promise<unknown> = Promise.resolve();
  private inLine = 0;

  constructor(
    private readonly store: PoolStore,
    private readonly writer: PoolWriter,
    private readonly newId: () => string,
  ) {}

  /**
   * @returns the group's id. @throws AppError the refusal of the first claim that cannot be met, `allocation.no_such_kind`:
   *   nothing is held. Kind `unavailable` as PoolWriter
   */
  async allocate(request: GroupRequest): Promise<string> {
    const { serviceId, claims, createdBy, idempotency, signal } = request;
    const groupId = this.newId();
    // the same ids whatever the pools: should an attempt that seemed to fail be written after all, the next one finds it
    const wanted = claims.map(({ capacity }) => ({ capacity, allocationId: this.newId() }));
    const submit: Submit = async (poolIds) => {
      const placed = wanted.map((claim, index) => ({ ...claim, poolId: poolIds[index] ?? '' }));
      const order = { groupId, serviceId, createdBy, claims: placed, idempotency };
      return (await this.writer.submit({ kind: 'allocate_group', ...order }, signal)).madeId ?? groupId;
    };
    const named = claims.flatMap((claim) => ('kind' in claim ? [] : [claim.poolId]));
    if (named.length === claims.length) return submit(named);
    return (
      (await this.attempt(request, submit)) ?? this.inTurn(() => unlessGone(this.attemptAgain(request, submit), signal))
    );
  }

  /** @returns undefined when what was chosen had been taken before its turn came */
  private async attempt({ claims, idempotency }: GroupRequest, submit: Submit): Promise<string | undefined> {
    const placement = place(claims, await this.poolsFor(claims));
    if ('poolIds' in placement) {
      return submit(placement.poolIds).catch((error: unknown) => {
        if (error instanceof AppError && (REFUSED_GRANTS as readonly string[]).includes(error.code)) return undefined;
        throw error;
      });
    }
    // read after the pools: should this very request have filled them, then its answer is there
    const remembered = idempotency && (await this.store.remembered(idempotency.id));
    if (!remembered) throw placement.refusal;
    checkFingerprint(idempotency, remembered.fingerprint);
    return remembered.madeId;
  }

  private async attemptAgain(request: GroupRequest, submit: Submit): Promise<string> {
    for (let attempt = 1; attempt < ATTEMPTS && !request.signal?.aborted; attempt += 1) {
      const madeId = await this.attempt(request, submit);
      if (madeId !== undefined) return madeId;
    }
    throw contended();
  }

  /**
   * Of many that come at once all choose the same best pools, and most in vain: those choose anew one after the other, each
   * seeing what the one before it took.
   */
  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.inLine >= LINE) throw contended();
    this.inLine += 1;
    const result = this.lastTurn.then(work).finally(() => (this.inLine -= 1));
    this.lastTurn = result.catch(() => undefined);
    return result;
  }

  private async poolsFor(claims: readonly WantedClaim[]): Promise<Inventory[]> {
    const poolIds = new Set(claims.flatMap((claim) => ('kind' in claim ? [] : [claim.poolId])));
    const kinds = new Map<string, Kind>();
    for (const claim of claims) if ('kind' in claim) kinds.set(JSON.stringify(claim.kind), claim.kind);
    const read = [
      ...[...kinds.values()].map((kind) => this.store.inventoriesOfKind(kind)),
      ...(poolIds.size > 0 ? [this.store.inventories([...poolIds])] : []),
    ];
    return (await Promise.all(read)).flat();
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
    await this.writer.submit({ kind: 'release_group', groupId, members: named, releasedBy });
  }
}

function contended(): AppError {
  return unavailable('allocation.contended', 'The pools of that kind change too fast at the moment; try again.');
}

/** The writer answers nobody who has hung up; whoever comes next must not wait for that. */
function unlessGone<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return answer;
  return Promise.race([
    answer,
    new Promise<never>((_, reject) => {
      if (signal.aborted) reject(contended());
      else signal.addEventListener('abort', () => reject(contended()), { once: true });
    }),
  ]);
}
