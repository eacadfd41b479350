import { createHash } from 'node:crypto';

const EMPTY = 0xffffffff;

/**
 * Where each of millions of ids was seen, at 12 bytes a place: of an id 64 bits of its hash are kept. That two of a
 * million ids share those has a chance of one in forty million.
 */
export class IdPlaces {
  private table = new Uint32Array(0);
  private slots = 0;
  size = 0;

  constructor(slots = 1 << 12) {
    this.resize(slots);
  }

  /** @param place below 2^32 - 1 @returns the place where the id was seen before; null when it is new */
  put(id: string, place: number): number | null {
    if (this.size * 2 >= this.slots) this.grow();
    const [high, low] = hashOf(id);
    const at = this.find(high, low);
    const known = this.table[at + 2] ?? EMPTY;
    if (known !== EMPTY) return known;
    this.table.set([high, low, place], at);
    this.size += 1;
    return null;
  }

  has(id: string): boolean {
    const [high, low] = hashOf(id);
    return this.table[this.find(high, low) + 2] !== EMPTY;
  }

  /** The slot of a hash, or the empty one where it belongs. */
  private find(high: number, low: number): number {
    for (let slot = low % this.slots; ; slot = (slot + 1) % this.slots) {
      const at = slot * 3;
      if (this.table[at + 2] === EMPTY || (this.table[at] === high && this.table[at + 1] === low)) return at;
    }
  }

  private grow(): void {
    const old = this.table;
    this.resize(this.slots * 2);
    for (let at = 0; at < old.length; at += 3) {
      if (old[at + 2] === EMPTY) continue;
      this.table.set(old.subarray(at, at + 3), this.find(old[at] ?? 0, old[at + 1] ?? 0));
    }
  }

  private resize(slots: number): void {
    this.slots = slots;
    this.table = new Uint32Array(slots * 3).fill(EMPTY);
  }
}

function hashOf(id: string): [number, number] {
  const digest = createHash('sha256').update(id).digest();
  return [digest.readUInt32BE(0), digest.readUInt32BE(4)];
}
