import { z } from 'zod';
import { inventoryView, type InventoryView } from '../../../shared/contracts/inventory';
import type { Sidecar } from '../../../shared/dapr/sidecar';
import type { Inventories } from '../ports/inventories';

/** `allocation`, by Dapr invocation of its internal routes. */
export class DaprInventories implements Inventories {
  constructor(private readonly sidecar: Sidecar) {}

  async open(poolId: string, total: number): Promise<void> {
    await this.sidecar.invoke('allocation', 'PUT', `internal/inventories/${poolId}`, { total });
  }

  async resize(poolId: string, total: number): Promise<void> {
    await this.sidecar.invoke('allocation', 'PUT', `internal/inventories/${poolId}/total`, { total });
  }

  async close(poolId: string): Promise<void> {
    await this.sidecar.invoke('allocation', 'DELETE', `internal/inventories/${poolId}`);
  }

  async lookup(poolIds: readonly string[]): Promise<Map<string, InventoryView>> {
    if (poolIds.length === 0) return new Map();
    const answer = await this.sidecar.invoke('allocation', 'POST', 'internal/inventories/lookup', { pool_ids: poolIds });
    return new Map(z.array(inventoryView).parse(answer).map((view) => [view.pool_id, view]));
  }
}
