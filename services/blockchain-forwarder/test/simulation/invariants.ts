import { canonicalHash } from '../../domain/canonical-hash';
import type { DeadLetter } from '../../domain/dead-letter';
import { leafOf } from '../../domain/leaf';
import type { StoredUsage, EndOfUse } from '../../domain/usage-record';
import type { Content } from './content';
import { OF_BATCHES } from './invariants-of-batches';
import { OF_SINKS } from './invariants-of-sinks';
import { rowsOf, type Invariant, type Seen } from './seen';
import { contentHashOf, recordOf, textOf, type Uses } from './uses';

/** What must hold of the stored rows after every transaction. */
const INVARIANTS: Record<string, Invariant> = {
  'a record is of an event that was told, and says what it says': async ({ transaction, uses }) => {
    for (const { id, after } of rowsOf<StoredUsage>(transaction, 'usage')) {
      if (!after) continue;
      const event = await variantOf(uses, id, after.contentHash);
      if (!event) return `nobody told of ${id} as it is recorded`;
      const { record, usageHash, salt, leaf } = after;
      if (textOf(record) !== textOf(recordOf(event))) return `the record ${id} is not what its event says`;
      const hashes = [usageHash, leaf];
      const expected = [await canonicalHash(record), await leafOf(record, Buffer.from(salt, 'base64url'))];
      if (String(hashes) !== String([expected[0], (expected[1] as Buffer).toString('base64url')]))
        return `hash or leaf of ${id} is of another record`;
    }
    return undefined;
  },

  'a record never changes': ({ transaction }) => {
    const changed = transaction.written.find(
      ({ key, before, after }) => key.startsWith('usage:') && before !== undefined && before !== after,
    );
    return changed && `${changed.key} was ${changed.before} and is ${changed.after ?? 'gone'}`;
  },

  'a record has one place: it waits for a batch, or is in one': ({ content }) => {
    const places = new Map<string, string>();
    const inPlaces = [
      ...[...content.chunks].map(([id, { entries }]) => ({ place: `chunk ${id}`, entries })),
      ...[...content.leaves].map(([id, entries]) => ({ place: `batch ${id}`, entries })),
    ];
    for (const { place, entries } of inPlaces) {
      for (const [id] of entries) {
        const other = places.get(id);
        if (other !== undefined) return `${id} is in ${other} and in ${place}`;
        if (!content.usages.has(id)) return `${place} has ${id}, of which there is no record`;
        places.set(id, place);
      }
    }
    const lost = [...content.usages.keys()].find((id) => !places.has(id));
    return lost && `the record ${lost} is in no batch and waits for none`;
  },

  'a dead letter has a cause, and is there once': async ({ transaction, content, uses }) => {
    for (const { id, after } of rowsOf<DeadLetter>(transaction, 'dead')) {
      if (!after) return `the letter ${id} is gone`;
      const fault = after.reason === 'sink.refused' ? undefined : await faultOfLetter(after, content, uses);
      if (fault !== undefined) return `${fault}, and yet ${after.reason}: ${after.event}`;
    }
    const texts = [...content.letters.values()].map(({ topic, event }) => `${topic} ${event}`);
    return new Set(texts).size === texts.length ? undefined : 'two letters hold the same event';
  },

  ...OF_BATCHES,
  ...OF_SINKS,
};

async function faultOfLetter({ reason, event }: DeadLetter, content: Content, uses: Uses): Promise<string | undefined> {
  const told: unknown = JSON.parse(event);
  if (reason !== 'usage.content_mismatch') {
    return uses.refused.get(textOf(told)) === reason ? undefined : 'nothing was wrong with it';
  }
  const { id } = told as EndOfUse;
  const recorded = content.usages.get(id);
  if (!recorded) return 'no record has its id';
  const hash = await contentHashOf(told as EndOfUse);
  if (recorded.contentHash === hash) return 'it is the record itself';
  return (await variantOf(uses, id, hash)) ? undefined : 'nobody told of it';
}

/** What was told under an id with that content. */
async function variantOf(uses: Uses, id: string, contentHash: string): Promise<EndOfUse | undefined> {
  for (const event of uses.variants.get(id) ?? []) if ((await contentHashOf(event)) === contentHash) return event;
  return undefined;
}

const NAMED = Object.entries(INVARIANTS);
export const NAMES = Object.keys(INVARIANTS);

/** The first invariant that a transaction breaks, and how. */
export async function broken(seen: Seen): Promise<{ invariant: string; detail: string } | undefined> {
  for (const [invariant, check] of NAMED) {
    const detail = await check(seen);
    if (detail !== undefined) return { invariant, detail };
  }
  return undefined;
}
