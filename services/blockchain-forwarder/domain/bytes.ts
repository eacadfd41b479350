/** Bytes as text and back, by what Node and browsers both have: the rules for receipts run in both. */

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => {
    all.set(part, at);
    return at + part.length;
  }, 0);
  return all;
}

export function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @param digits without 0x */
export function fromHex(digits: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new RangeError('bytes have two hexadecimal digits each');
  return Uint8Array.from(digits.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

/** RFC 4648 §5, without padding. */
export function toBase64url(bytes: Uint8Array): string {
  const standard = btoa(String.fromCharCode(...bytes));
  return standard.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** @returns null unless the text is the one spelling of some bytes: the bits that mean nothing in its last sign are 0 */
export function fromBase64url(text: string): Uint8Array | null {
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1) return null;
  const standard = text.replaceAll('-', '+').replaceAll('_', '/');
  const bytes = Uint8Array.from(atob(standard), (sign) => sign.charCodeAt(0));
  return toBase64url(bytes) === text ? bytes : null;
}
