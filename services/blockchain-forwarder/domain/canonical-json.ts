// the package is an ES module without an entry for require()
const library = import('canonicalize');

/**
 * The value's canonical JSON (RFC 8785): one text for equal values, whatever the order of their keys or the program that
 * wrote them.
 * @throws when the value has no canonical form, for example text with half a surrogate pair
 */
export async function canonicalText(value: object): Promise<string> {
  const { default: canonicalize } = await library;
  const json = canonicalize(value);
  if (json === undefined) throw new TypeError('the value has no JSON form');
  return json;
}
