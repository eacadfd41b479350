import { z } from 'zod';
import {
  inventoryView,
  toTermsRow,
  type InventoryView,
  type ResizeMode,
  type Terms,
} from '../../../shared/contracts/inventory';
import type { Sidecar } from '../../../shared/dapr/sidecar';
import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { hasCode } from '../../../shared/errors';
import type { Inventories } from '../ports/inventories';

/** `allocation`, by Dapr invocation of its internal routes. */
export class DaprInventories implements Inventories {
  constructor(private readonly sidecar: Sidecar) {}

  open(poolId: string, terms: Terms, revision: number): Promise<void> {
    return this.change('PUT', `internal/inventories/${poolId}`, { ...toTermsRow(terms), revision });
  }

  resize(poolId: string, terms: Terms, mode: ResizeMode, revision: number): Promise<void> {
    return this.change('PUT', `internal/inventories/${poolId}/terms`, { ...toTermsRow(terms), mode, revision });
  }

  close(poolId: string, revision: number): Promise<void> {
    return this.change('DELETE', `internal/inventories/${poolId}?revision=${revision}`);
  }

  async lookup(poolIds: readonly string[]): Promise<Map<string, InventoryView>> {
    if (poolIds.length === 0) return new Map();
    const answer = await this.sidecar.invoke('allocation', 'POST', 'internal/inventories/lookup', {
      pool_ids: poolIds,
    });
    return new Map(
      z
        .array(inventoryView)
        .parse(answer)
        .map((view) => [view.pool_id, view]),
    );
  }

  private async change(method: 'PUT' | 'DELETE', path: string, body?: object): Promise<void> {
    try {
      await this.sidecar.invoke('allocation', method, path, body);
    } catch (error) {
      throw hasCode(error, 'pool.change_superseded') ? new ConflictError(error.message) : error;
    }
  }
}
