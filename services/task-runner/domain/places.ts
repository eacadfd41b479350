import { limitReached } from './errors';
import type { TaskLimits } from './service-type';

/** How many tasks are there that have not ended: of everybody, or of one user. */
export interface Places {
  total: number;
  byType: Readonly<Record<string, number>>;
}

/** What holds for a task of some type. */
export interface PlaceLimits {
  all: TaskLimits;
  type: TaskLimits;
}

export const NO_PLACES: Places = { total: 0, byType: {} };

/** @throws `task.limit_reached`; of several limits the user's own, and the one that any type may free */
export function checkPlaces(limits: PlaceLimits, serviceType: string, everybody: Places, own: Places): void {
  const of = ({ byType }: Places): number => byType[serviceType] ?? 0;
  const full = (
    [
      ['user', own.total, limits.all.tasksPerUser],
      ['user_and_service_type', of(own), limits.type.tasksPerUser],
      ['all', everybody.total, limits.all.tasks],
      ['service_type', of(everybody), limits.type.tasks],
    ] as const
  ).find(([, taken, limit]) => taken >= limit);
  if (full) throw limitReached({ scope: full[0], limit: full[2], open: full[1], serviceType });
}

export function changed({ total, byType }: Places, serviceType: string, by: 1 | -1): Places {
  const { [serviceType]: before = 0, ...others } = byType;
  const after = Math.max(0, before + by);
  return { total: Math.max(0, total + by), byType: after === 0 ? others : { ...others, [serviceType]: after } };
}
