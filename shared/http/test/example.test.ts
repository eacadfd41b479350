import { z } from 'zod';
import { exampleOf } from '../example';

const name = z.string().meta({ example: 'a100' });

test('an example is put together from those of the parts', () => {
  const schema = z.object({
    name,
    sizes: z.array(z.int().meta({ example: 4 })),
    kind: z.enum(['GPU', 'CPU']).optional(),
  });
  expect(exampleOf(schema)).toEqual({ name: 'a100', sizes: [4], kind: 'GPU' });
});

test('what is told of the whole goes before what its parts tell, also when that is null', () => {
  expect(exampleOf(z.object({ name }).meta({ example: { name: 'h100' } }))).toEqual({ name: 'h100' });
  expect(exampleOf(z.object({ name: name.nullable().meta({ example: null }) }))).toEqual({ name: null });
});

test('what is changed while it is read shows what may be sent', () => {
  expect(exampleOf(name.transform((text) => text.length))).toBe('a100');
  expect(exampleOf(z.preprocess((value) => [value].flat(), z.array(name)))).toEqual(['a100']);
});

test('there is none where a part has none, rather than one made up', () => {
  expect(exampleOf(z.object({ name, note: z.string() }))).toBeUndefined();
});
