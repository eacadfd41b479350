import { AppError } from '../../../shared/errors';
import { poolNotFound } from './errors';
import { available, type Inventory, isOpen, type OpenInventory, refusalOf } from './inventory';

/** Pools by what they are, whichever they are. */
export interface Kind {
  resourceType: string;
  location?: string | undefined;
  /** All of which a pool must have. */
  labels: readonly (readonly [key: string, value: string])[];
}

/** A capacity of one certain pool, or of any one pool of a kind: it is not split over several. */
export type WantedClaim = { capacity: number; poolId: string } | KindClaim;

interface KindClaim {
  capacity: number;
  kind: Kind;
}

export type Placement = { poolIds: string[] } | { refusal: AppError };

/** Pools looked at in search of a placement before it is given up: some milliseconds. */
const LOOKS = 20_000;
const SHORT = 'allocation.insufficient_capacity';

/** A pool that was closed is of no kind any more. */
export function isOfKind(inventory: Inventory, { resourceType, location, labels }: Kind): inventory is OpenInventory {
  return (
    isOpen(inventory) &&
    inventory.resourceType === resourceType &&
    (location === undefined || inventory.location === location) &&
    labels.every(([key, value]) => inventory.labels[key] === value)
  );
}

/** Which of the pools would take that capacity now, best fit first, and how many would not, by reason. */
export function candidatesOf<T extends Inventory>(
  inventories: readonly T[],
  capacity: number,
): { takers: T[]; rejected: Record<string, number> } {
  const takers: T[] = [];
  const rejected: Record<string, number> = {};
  for (const inventory of inventories) {
    const refusal = refusalOf(inventory, capacity);
    if (refusal) rejected[refusal.code] = (rejected[refusal.code] ?? 0) + 1;
    else takers.push(inventory);
  }
  takers.sort((a, b) => available(a) - available(b) || (a.poolId < b.poolId ? -1 : 1));
  return { takers, rejected };
}

/**
 * A pool for each claim, such that all of them are met together: claims that name a pool first, then the largest first, best
 * fit first, and back again where that leads nowhere. What it says holds for `inventories` as they were read.
 * @returns pools in the order of the claims, or why there are none. Of a search that is too large it may miss a placement
 */
export function place(claims: readonly WantedClaim[], inventories: readonly Inventory[]): Placement {
  const pools = new Map(inventories.map((inventory) => [inventory.poolId, inventory]));
  for (const claim of claims) {
    if ('kind' in claim) continue;
    const inventory = pools.get(claim.poolId);
    if (!isOpen(inventory)) return { refusal: poolNotFound(claim.poolId) };
    const refusal = refusalOf(inventory, claim.capacity);
    if (refusal) return { refusal };
    pools.set(claim.poolId, drawnBy(inventory, claim.capacity));
  }
  const poolIds = claims.map((claim) => ('kind' in claim ? '' : claim.poolId));
  const open = claims.flatMap((claim, index) => ('kind' in claim ? [optionsFor(claim, index, pools)] : []));
  const hopeless = open.find(({ takers }) => takers.length === 0);
  if (hopeless) return { refusal: refusalOfKind(hopeless.claim, pools) };
  open.sort((a, b) => b.claim.capacity - a.claim.capacity || a.takers.length - b.takers.length);
  const deadEnd = search(open, pools, (index, poolId) => (poolIds[index] = poolId));
  return deadEnd ? { refusal: deadEnd } : { poolIds };
}

interface Options {
  claim: KindClaim;
  /** Its place among all claims. */
  index: number;
  /** Pools that would take it if it were the only one. */
  takers: string[];
}

function optionsFor(claim: KindClaim, index: number, pools: ReadonlyMap<string, Inventory>): Options {
  const { kind, capacity } = claim;
  // what is short anyway need not say why: thousands of refusals would cost more than the search
  const enough = ofKind(kind, pools).filter((pool) => available(pool) >= capacity);
  return { claim, index, takers: candidatesOf(enough, capacity).takers.map(({ poolId }) => poolId) };
}

/** @returns undefined when all were placed, else the refusal at which the first way ended */
function search(
  claims: readonly Options[],
  pools: ReadonlyMap<string, Inventory>,
  choose: (index: number, poolId: string) => void,
): AppError | undefined {
  // of what a pool says against a claim, only what is left changes with the claims before it
  const left = new Map([...pools].map(([poolId, inventory]) => [poolId, available(inventory)]));
  const leftIn = (poolId: string): number => left.get(poolId) ?? 0;
  const deadEnds: AppError[] = [];
  let looks = 0;
  function placed(depth: number): boolean {
    const next = claims[depth];
    if (!next) return true;
    const { claim, index, takers } = next;
    looks += takers.length;
    const fitting = takers.filter((poolId) => leftIn(poolId) >= claim.capacity);
    for (const poolId of fitting.sort((a, b) => leftIn(a) - leftIn(b))) {
      choose(index, poolId);
      left.set(poolId, leftIn(poolId) - claim.capacity);
      if (placed(depth + 1)) return true;
      left.set(poolId, leftIn(poolId) + claim.capacity);
      if (looks > LOOKS) return false;
    }
    if (deadEnds.length === 0) {
      const drawn = [...pools].map(([id, pool]) => [id, drawnBy(pool, available(pool) - leftIn(id))] as const);
      deadEnds.push(refusalOfKind(claim, new Map(drawn)));
    }
    return false;
  }
  return placed(0) ? undefined : deadEnds[0];
}

function ofKind(kind: Kind, pools: ReadonlyMap<string, Inventory>): OpenInventory[] {
  return [...pools.values()].filter((inventory) => isOfKind(inventory, kind));
}

function drawnBy(inventory: Inventory, capacity: number): Inventory {
  return { ...inventory, allocated: inventory.allocated + capacity };
}

/** Says what is short when anything is, else what one of the pools says; `rejected` counts all of them by reason. */
function refusalOfKind({ kind, capacity }: KindClaim, pools: ReadonlyMap<string, Inventory>): AppError {
  const { resourceType, location, labels } = kind;
  const asked = {
    resource_type: resourceType,
    ...(location !== undefined && { location }),
    ...(labels.length > 0 && { labels: Object.fromEntries(labels) }),
  };
  const candidates = ofKind(kind, pools);
  if (candidates.length === 0) {
    const detail = 'There is no pool of that kind; ask for another resource_type, location or labels.';
    return new AppError('not_found', 'allocation.no_such_kind', detail, { facts: asked });
  }
  const { rejected } = candidatesOf(candidates, capacity);
  const [other] = candidates.flatMap((pool) => refusalOf(pool, capacity) ?? []);
  if (other && !(SHORT in rejected)) {
    return new AppError(other.kind, other.code, other.message, { facts: { ...asked, ...other.facts, rejected } });
  }
  const short = candidates.filter((pool) => refusalOf(pool, capacity)?.code === SHORT);
  return new AppError(
    'conflict',
    SHORT,
    'No pool of that kind has enough left for this claim beside the others; ask for less, or wait for a release.',
    { facts: { ...asked, requested: capacity, available: Math.max(0, ...short.map(available)), rejected } },
  );
}
