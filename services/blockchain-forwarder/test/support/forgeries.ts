/** Ways to forge a proof. */

/** The same bytes but for one bit, which the seed chooses. */
export function flipped(bytes: Uint8Array, seed: number): Buffer {
  const forged = Buffer.from(bytes);
  const bit = seed % (bytes.length * 8);
  const index = Math.floor(bit / 8);
  forged.writeUInt8(forged.readUInt8(index) ^ (1 << (bit % 8)), index);
  return forged;
}

/** Lists of hashes that differ from the given one: a bit flipped in each place, one taken away, one put in, cut short. */
export function changes(path: readonly Uint8Array[], seed: number): Uint8Array[][] {
  const other = Buffer.alloc(32, seed);
  const places = path.map((_, place) => place);
  return [
    ...places.map((place) => path.map((hash, at) => (at === place ? flipped(hash, seed + place) : hash))),
    ...places.map((place) => path.filter((_, at) => at !== place)),
    ...places.map((place) => path.map((hash, at) => (at === place ? hash.subarray(0, 31) : hash))),
    ...places.map((place) => path.map((hash, at) => (at === place ? Buffer.concat([hash, Buffer.of(0)]) : hash))),
    ...[...places, path.length].map((place) => [...path.slice(0, place), other, ...path.slice(place)]),
    ...[...places, path.length].map((place) => [...path.slice(0, place), Buffer.alloc(0), ...path.slice(place)]),
    ...places.slice(1).map((place) => [...path.slice(place), ...path.slice(0, place)]),
  ];
}
