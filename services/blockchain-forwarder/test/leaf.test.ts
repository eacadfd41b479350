import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { toHex } from '../domain/bytes';
import { leafOf } from '../domain/leaf';
import type { UsageRecord } from '../domain/usage-record';
import { usageRecord } from './support/samples';
import { anyRecord, anySalt } from './support/any-record';

interface Vector {
  name: string;
  record: UsageRecord;
  salt: string;
  canonical: string;
  leaf: string;
}

const { vectors } = JSON.parse(readFileSync('docs/usage-record-vectors.json', 'utf8')) as { vectors: Vector[] };
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const salt = bytes('000102030405060708090a0b0c0d0e0f');

describe('the leaf of a record', () => {
  test.each(vectors)('when the record is the published one ($name), then so is the leaf', async (vector) => {
    expect(toHex(await leafOf(vector.record, bytes(vector.salt)))).toBe(vector.leaf);
  });

  test.each(vectors)('when nothing of ours computes it ($name), then it is the same', (vector) => {
    const preimage = Buffer.concat([bytes('00'), bytes(vector.salt), Buffer.from(vector.canonical, 'utf8')]);
    expect(createHash('sha256').update(preimage).digest('hex')).toBe(vector.leaf);
    expect(vector.canonical).toBe(sortedJson(vector.record));
    expect(JSON.parse(vector.canonical)).toEqual(vector.record);
  });

  it('when vectors are published, then they tell of every field, as null and as something where it may be null', () => {
    const [first] = vectors;
    for (const field of [...Object.keys(first!.record), 'corrects'] as (keyof UsageRecord)[]) {
      expect(readFileSync('docs/usage-record.md', 'utf8')).toContain(`\`${field}\``);
      const seen = new Set(vectors.map(({ record }) => record[field] === null));
      if (seen.has(true)) expect([field, seen.size]).toEqual([field, 2]);
    }
    expect(Object.keys(usageRecord()).sort()).toEqual(Object.keys(first!.record).sort());
    const corrections = vectors.filter(({ record }) => record.version === 2);
    for (const { record } of corrections) {
      expect(Object.keys(record).sort()).toEqual([...Object.keys(first!.record), 'corrects'].sort());
    }
    expect(corrections.length).toBeGreaterThan(1);
  });

  it('when record and salt are whatever they may be, then the leaf is SHA-256(0x00 ‖ salt ‖ JCS)', async () => {
    await fc.assert(
      fc.asyncProperty(anyRecord, anySalt, async (record, salt) => {
        const hash = createHash('sha256').update(bytes('00')).update(salt).update(sortedJson(record)).digest();
        expect(toHex(await leafOf(record, salt))).toBe(hash.toString('hex'));
      }),
    );
  });

  it('when the keys come in another order, then the leaf is the same', async () => {
    const record = usageRecord();
    const reversed = Object.fromEntries(Object.entries(record).reverse()) as unknown as UsageRecord;
    expect(await leafOf(reversed, salt)).toEqual(await leafOf(record, salt));
  });

  it('when any field or the salt is another, then so is the leaf', async () => {
    await fc.assert(
      fc.asyncProperty(anyRecord, anyRecord, anySalt, anySalt, async (one, other, salt, salt2) => {
        const leaf = await leafOf(one, salt);
        fc.pre(!salt.every((byte, index) => byte === salt2[index]));
        expect(await leafOf(one, salt2)).not.toEqual(leaf);
        for (const field of Object.keys(one) as (keyof UsageRecord)[]) {
          if (sortedJson(one[field]) === sortedJson(other[field])) continue;
          expect(await leafOf({ ...one, [field]: other[field] }, salt)).not.toEqual(leaf);
        }
      }),
    );
  });

  it('when the same letter is written as one sign or as two, then these are two records', async () => {
    const record = usageRecord();
    const composed = await leafOf({ ...record, reason: 'caf\u00e9' }, salt);
    expect(await leafOf({ ...record, reason: 'cafe\u0301' }, salt)).not.toEqual(composed);
  });

  it.each([0, 15, 17, 32])('when the salt has %i bytes, then it is refused', async (length) => {
    await expect(leafOf(usageRecord(), Buffer.alloc(length))).rejects.toThrow(`a salt has 16 bytes, not ${length}`);
  });

  it('when a text holds half a surrogate pair, then there is no leaf', async () => {
    await expect(leafOf({ ...usageRecord(), reason: 'x\ud83d' }, salt)).rejects.toThrow('surrogate');
  });
});

/** RFC 8785 for what a record holds, written down once more: keys of ASCII sorted, no blanks, integers, text as JSON's. */
function sortedJson(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${sortedJson(each)}`).join(',')}}`;
}
