import { z } from 'zod';
import { timestamp, uuid } from '../../../shared/contracts/fields';
import {
  poolState,
  resizeMode,
  type ResizeMode,
  termFields,
  termsOfRow,
  toTermsRow,
} from '../../../shared/contracts/inventory';
import { termsOf, type Pending, type Pool, type Undo } from '../domain/pool';

const undoRow = z.object({
  name: z.string(),
  total_capacity: z.int(),
  ...termFields,
  state: poolState.default('open'),
  version: z.int(),
  updated_at: timestamp,
});

/** How a pool looks as a JSON row. What older rows lack has a default. */
export const poolRow = z
  .object({
    id: uuid,
    ...undoRow.shape,
    revision: z.int(),
    created_at: timestamp,
    pending: z.enum(['open', 'abandon', 'resize', 'close']).nullable(),
    pending_since: timestamp.nullable(),
    resize_mode: resizeMode.nullable().default(null),
    undo: undoRow.nullable(),
    request_key: z.string().nullable(),
  })
  .transform((row): Pool => ({
    id: row.id,
    ...describe(row),
    revision: row.revision,
    createdAt: row.created_at,
    pending: pendingOf(row),
    pendingSince: row.pending_since,
  }));

function pendingOf(row: {
  pending: Pending['kind'] | null;
  resize_mode: ResizeMode | null;
  undo: UndoRow | null;
  request_key: string | null;
}): Pending | null {
  switch (row.pending) {
    case null:
      return null;
    case 'close':
      return { kind: 'close' };
    case 'open':
    case 'abandon':
      return { kind: row.pending, requestKey: row.request_key };
    case 'resize':
      if (!row.undo) throw new Error('a resize is pending, and what was before it is not written down');
      return { kind: 'resize', mode: row.resize_mode ?? 'refuse', undo: describe(row.undo) };
  }
}

type UndoRow = z.infer<typeof undoRow>;

function describe(row: UndoRow): Undo {
  const { total: totalCapacity, ...terms } = termsOfRow({ ...row, total: row.total_capacity });
  return {
    name: row.name,
    totalCapacity,
    ...terms,
    version: row.version,
    updatedAt: row.updated_at,
  };
}

function toUndoRow(pool: Undo): UndoRow {
  const { total, ...terms } = toTermsRow(termsOf(pool));
  return {
    name: pool.name,
    total_capacity: total,
    ...terms,
    version: pool.version,
    updated_at: pool.updatedAt,
  };
}

export function toPoolRow(pool: Pool): z.input<typeof poolRow> {
  const { pending } = pool;
  return {
    id: pool.id,
    ...toUndoRow(pool),
    revision: pool.revision,
    created_at: pool.createdAt,
    pending: pending?.kind ?? null,
    pending_since: pool.pendingSince,
    resize_mode: pending?.kind === 'resize' ? pending.mode : null,
    undo: pending?.kind === 'resize' ? toUndoRow(pending.undo) : null,
    request_key: pending?.kind === 'open' || pending?.kind === 'abandon' ? pending.requestKey : null,
  };
}
