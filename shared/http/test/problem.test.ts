import { AppError, hasCode, invalid, messageOf, unavailable, type ErrorKind } from '../../errors';
import { problemSchema, STATUS, toProblem } from '../problem';

test.each(Object.entries(STATUS))(
  '%s answers %i with a title, its code and a valid problem document',
  (kind, status) => {
    const { body, ...problem } = toProblem(new AppError(kind as ErrorKind, 'some.code', 'Do this.'), 'r-1');
    expect(problem.status).toBe(status);
    expect(problemSchema.parse(body)).toMatchObject({
      status,
      code: 'some.code',
      detail: 'Do this.',
      request_id: 'r-1',
    });
    expect(body['title']).not.toBe('Error');
    expect(body['type']).toBe('urn:resource-manager:error:some.code');
  },
);

test('anything else is a 500 without a word about its insides', () => {
  for (const thrown of [new TypeError('x of undefined'), 'text', null, { status: 404 }]) {
    const { status, body } = toProblem(thrown, 'r-1');
    expect([status, body['code']]).toEqual([500, 'internal']);
    expect(JSON.stringify(body)).not.toMatch(/undefined|text/);
  }
});

test('facts are added, but cannot take the place of a member that every problem has', () => {
  const error = new AppError('conflict', 'a.b', 'Sentence.', {
    facts: { available: 2, code: 'x', status: 1, request_id: 'x' },
  });
  expect(toProblem(error, 'r-1').body).toMatchObject({ available: 2, code: 'a.b', status: 409, request_id: 'r-1' });
});

test('invalid names the fields in the sentence and lists them', () => {
  const error = invalid([{ field: 'body.a', message: 'must be x' }]);
  expect(error.message).toContain('body.a');
  expect(toProblem(error, 'r').body['errors']).toEqual([{ field: 'body.a', message: 'must be x' }]);
});

test('helpers: a code is told apart, any thrown thing has a message', () => {
  expect(hasCode(unavailable('x.y', 'd'), 'x.y')).toBe(true);
  expect(hasCode(new Error('x.y'), 'x.y')).toBe(false);
  expect([messageOf(new Error('m')), messageOf('t'), messageOf(undefined)]).toEqual(['m', 't', 'undefined']);
});
