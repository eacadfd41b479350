import { AppError } from '../../errors';
import { checkFingerprint, checkIfMatch, entityTag, idempotencyKey, prefers } from '../conditions';

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof AppError ? error.code : String(error);
  }
}

describe('If-Match', () => {
  test.each([[undefined], ['*'], [' * '], ['"7"'], ['"6", "7"']])('%s lets version 7 be changed', (header) => {
    expect(codeOf(() => checkIfMatch(header, '7'))).toBeUndefined();
  });

  test.each([['"6"'], ['7'], ['W/"7"'], [''], ['"6", "8"']])('%s does not: 412', (header) => {
    expect(codeOf(() => checkIfMatch(header, '7'))).toBe('request.precondition_failed');
  });

  test('an entity tag is quoted', () => {
    expect(entityTag('7')).toBe('"7"');
  });
});

describe('Idempotency-Key', () => {
  const scope = ['alice', 'POST /resource_pools'];

  test('absent means nothing is remembered', () => {
    expect(idempotencyKey(undefined, scope, {})).toBeUndefined();
  });

  test('the same key and content give the same id and fingerprint, another caller another id', () => {
    const first = idempotencyKey('k', scope, { a: 1 })!;
    expect(idempotencyKey('k', scope, { a: 1 })).toEqual(first);
    expect(idempotencyKey('k', ['bob', 'POST /resource_pools'], { a: 1 })!.id).not.toBe(first.id);
    expect(idempotencyKey('l', scope, { a: 1 })!.id).not.toBe(first.id);
  });

  test('a scope cannot be shifted into the key', () => {
    expect(idempotencyKey('b","c', ['a'], {})!.id).not.toBe(idempotencyKey('c', ['a', 'b'], {})!.id);
  });

  test('the same key with other content is refused: 422', () => {
    const first = idempotencyKey('k', scope, { a: 1 })!;
    const second = idempotencyKey('k', scope, { a: 2 })!;
    expect(codeOf(() => checkFingerprint(second, first.fingerprint))).toBe('request.idempotency_key_reused');
    expect(codeOf(() => checkFingerprint(first, first.fingerprint))).toBeUndefined();
  });

  test.each([[''], ['with blank'], ['x'.repeat(256)], ['ümlaut']])('%p is no key: 400', (header) => {
    expect(codeOf(() => idempotencyKey(header, scope, {}))).toBe('request.invalid');
  });
});

test.each([
  ['respond-async', true],
  ['wait=5, Respond-Async', true],
  ['respond-async; foo="bar"', true],
  ['return=minimal', false],
  ['x-respond-async', false],
  [undefined, false],
])('when Prefer is %s, then respond-async is preferred: %s', (header, preferred) => {
  expect(prefers(header, 'respond-async')).toBe(preferred);
});
