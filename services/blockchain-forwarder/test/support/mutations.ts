/** Every way to change one byte of one field of a JSON document. */
export interface Mutation {
  /** The field, and what was done to it. */
  name: string;
  json: string;
}

/**
 * Changes each value of the document, down to the leaves, at each of its bytes: every bit flipped, and some other signs
 * put in its place. What leaves the value as it was is no change and is left out.
 */
export function mutationsOf(json: string): Mutation[] {
  return valuesIn(json).flatMap(({ name, start, end }) =>
    Array.from({ length: end - start }, (_, offset) => start + offset).flatMap((at) => changesAt(json, at, name)),
  );
}

/** Of the changes of each byte the first one, which flips its lowest bit. */
export function oneAtEachByte(json: string): Mutation[] {
  const places = new Map<string, Mutation>();
  for (const mutation of mutationsOf(json)) {
    const place = / at (\d+) for /.exec(mutation.name)?.[1] ?? '';
    if (!places.has(place)) places.set(place, mutation);
  }
  return [...places.values()];
}

function changesAt(json: string, at: number, name: string): Mutation[] {
  const original = json.charCodeAt(at);
  const flips = [1, 2, 4, 8, 16, 32, 64, 128].map((bit) => original ^ bit);
  const signs = [...'0aAZ-_."\\ '].map((sign) => sign.charCodeAt(0));
  return [...new Set([...flips, ...signs])]
    .filter((code) => code !== original)
    .map((code) => ({
      name: `${name}: ${JSON.stringify(String.fromCharCode(code))} at ${at} for ${JSON.stringify(json[at])}`,
      json: json.slice(0, at) + String.fromCharCode(code) + json.slice(at + 1),
    }));
}

/** Where the values of a document without blanks begin and end, quotation marks left out. */
export function valuesIn(json: string): { name: string; start: number; end: number }[] {
  const places: { name: string; start: number; end: number }[] = [];
  let at = 0;
  const walk = (value: unknown, name: string): void => {
    if (value === null || typeof value !== 'object') {
      const text = JSON.stringify(value);
      const quote = typeof value === 'string' ? 1 : 0;
      places.push({ name, start: at + quote, end: at + text.length - quote });
      at += text.length;
      return;
    }
    for (const [key, each] of Object.entries(value)) {
      at += Array.isArray(value) ? 1 : JSON.stringify(key).length + 2;
      walk(each, `${name}.${key}`);
    }
    at += Object.keys(value).length === 0 ? 2 : 1;
  };
  walk(JSON.parse(json), '');
  return places;
}
