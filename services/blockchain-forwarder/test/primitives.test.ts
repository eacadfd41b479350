import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import * as node from '../domain/primitives';
import * as browser from '../verifier/page/primitives';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const base64url = (hex: string): string => Buffer.from(hex, 'hex').toString('base64url');

/** RFC 8032 §7.1, test 2. */
const X = base64url('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
const MESSAGE = bytes('72');
const SIGNATURE = bytes(
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
);

describe.each([
  ['Node', node],
  ['the page', browser],
])('the cryptography of %s', (_, { sha256, isEd25519Signature }) => {
  it('when bytes are hashed, in one part or several, then it is their SHA-256', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (parts) => {
        expect(Buffer.from(sha256(...parts))).toEqual(createHash('sha256').update(Buffer.concat(parts)).digest());
      }),
    );
  });

  it('when a signature is the published one, then it is good, and with any bit changed it is not', () => {
    expect(isEd25519Signature(SIGNATURE, MESSAGE, X)).toBe(true);
    expect(isEd25519Signature(SIGNATURE, bytes('73'), X)).toBe(false);
    for (let bit = 0; bit < 512; bit += 7) {
      const forged = SIGNATURE.with(bit >> 3, SIGNATURE[bit >> 3]! ^ (1 << (bit & 7)));
      expect(isEd25519Signature(forged, MESSAGE, X)).toBe(false);
    }
  });

  it('when Node has signed, then it is good', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const message = Buffer.from('a receipt');
    expect(isEd25519Signature(sign(null, message, privateKey), message, publicKey.export({ format: 'jwk' }).x!)).toBe(
      true,
    );
  });

  it.each(['', 'AA', '!!', base64url('ff'.repeat(32)), 'A'.repeat(100)])(
    'when the key is none (%s), then nothing is good',
    (x) => {
      expect(isEd25519Signature(SIGNATURE, MESSAGE, x)).toBe(false);
    },
  );
});
