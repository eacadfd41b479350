import { z } from 'zod';
import { timestamp, uuid } from '../../../shared/contracts/fields';
import type { Pool } from '../domain/pool';

const undoRow = z.object({
  name: z.string(),
  resource_type: z.string(),
  total_capacity: z.int(),
  location: z.string(),
  updated_at: timestamp,
});

/** How a pool looks as a JSON row. */
export const poolRow = z
  .object({
    id: uuid,
    ...undoRow.shape,
    version: z.int(),
    created_at: timestamp,
    pending: z.enum(['open', 'abandon', 'resize', 'close']).nullable(),
    pending_since: timestamp.nullable(),
    undo: undoRow.nullable(),
  })
  .transform((row): Pool => ({
    id: row.id,
    ...describe(row),
    version: row.version,
    createdAt: row.created_at,
    pending:
      row.pending === 'resize' && row.undo
        ? { kind: 'resize', undo: describe(row.undo) }
        : row.pending && row.pending !== 'resize'
          ? { kind: row.pending }
          : null,
    pendingSince: row.pending_since,
  }));

type UndoRow = z.infer<typeof undoRow>;

function describe(row: UndoRow) {
  return {
    name: row.name,
    resourceType: row.resource_type,
    totalCapacity: row.total_capacity,
    location: row.location,
    updatedAt: row.updated_at,
  };
}

function toUndoRow(pool: ReturnType<typeof describe>): UndoRow {
  return {
    name: pool.name,
    resource_type: pool.resourceType,
    total_capacity: pool.totalCapacity,
    location: pool.location,
    updated_at: pool.updatedAt,
  };
}

export function toPoolRow(pool: Pool): z.input<typeof poolRow> {
  return {
    id: pool.id,
    ...toUndoRow(pool),
    version: pool.version,
    created_at: pool.createdAt,
    pending: pool.pending?.kind ?? null,
    pending_since: pool.pendingSince,
    undo: pool.pending?.kind === 'resize' ? toUndoRow(pool.pending.undo) : null,
  };
}
