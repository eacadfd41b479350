import { z } from 'zod';
import { uuid } from './fields';

/** The numbers of a pool, as `allocation` tells them to `resource-pool`. Whole units of the pool's resource. */
export const inventoryView = z.object({
  pool_id: uuid,
  total: z.int(),
  allocated: z.int(),
  available: z.int(),
});

export type InventoryView = z.infer<typeof inventoryView>;
