import { fromBase64url, fromHex, isEqual, joined, toBase64url, toHex, utf8 } from '../domain/bytes';

const bytes = (...values: number[]) => Uint8Array.from(values);

describe('bytes as text', () => {
  it('when they are written, then as RFC 4648 has it, and they are read again', () => {
    for (const text of ['', 'f', 'fo', 'foo', 'foob', 'é\u2028日']) {
      const written = toBase64url(utf8(text));
      expect(written).toBe(Buffer.from(text).toString('base64url'));
      expect(fromBase64url(written)).toEqual(utf8(text));
      expect(toHex(utf8(text))).toBe(Buffer.from(text).toString('hex'));
      expect(fromHex(toHex(utf8(text)))).toEqual(utf8(text));
    }
    expect(toBase64url(bytes(0xfb, 0xff, 0xfe, 0xfb, 0xff))).toBe('-__--_8');
    expect(fromBase64url('-__--_8')).toEqual(bytes(0xfb, 0xff, 0xfe, 0xfb, 0xff));
    expect(fromHex('00fFaB')).toEqual(bytes(0, 255, 171));
  });

  it.each(['A', 'AAAAA', 'AB', 'AAB', '+/AA', 'AA==', 'A A', ' AAA', 'AAA\n', '=AAA'])(
    'when %j is no spelling of any bytes, or not the one, then it is refused',
    (text) => {
      expect(fromBase64url(text)).toBeNull();
    },
  );

  it.each(['0', '0x00', 'gg', '00 ', ' 00', '00\n'])(
    'when %j is not two digits a byte, then it is refused',
    (digits) => {
      expect(() => fromHex(digits)).toThrow(RangeError);
    },
  );

  it('when they are compared, then to the last one', () => {
    expect(isEqual(bytes(1, 2, 3), bytes(1, 2, 3))).toBe(true);
    expect(isEqual(bytes(), bytes())).toBe(true);
    for (const other of [bytes(1, 2, 4), bytes(0, 2, 3), bytes(1, 2), bytes(1, 2, 3, 0)]) {
      expect(isEqual(bytes(1, 2, 3), other)).toBe(false);
    }
    expect(joined(bytes(1), bytes(), bytes(2, 3))).toEqual(bytes(1, 2, 3));
  });
});
