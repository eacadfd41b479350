import { childTraceparent, currentContext, traceIdOf, withContext } from '../context';

const trace = 'a'.repeat(32);

test('a valid traceparent keeps its trace id and flags, and gets a span id of its own', () => {
  const child = childTraceparent(`00-${trace}-${'b'.repeat(16)}-00`);
  expect(child).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-00$`));
  expect(child).not.toContain('b'.repeat(16));
  expect(traceIdOf(child)).toBe(trace);
});

test.each([
  undefined,
  '',
  'nonsense',
  `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`,
  `00-${trace}-${'0'.repeat(16)}-01`,
  `00-${trace.toUpperCase()}-${'b'.repeat(16)}-01`,
  `ff-${trace}-${'b'.repeat(16)}-01`,
])('%p begins a new trace', (incoming) => {
  const child = childTraceparent(incoming);
  expect(child).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  expect(child).not.toContain(trace);
});

test('there is a context inside, and none outside', () => {
  expect(withContext({ requestId: 'r', traceparent: undefined }, () => currentContext()?.requestId)).toBe('r');
  expect(currentContext()).toBeUndefined();
});
