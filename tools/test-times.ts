// What `npm test` asks of the time that tests take.
import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

/** Five times what any of them takes here: a unit test that needs longer waits for something real, or tries very much. */
const LONGEST_UNIT_TEST_MS = 5_000;
/** A file that needs longer says at its top why it is worth that, `Slow: …`, as do most that need half of it. */
const UNEXPLAINED_MS = 60_000;

export const jestResultsSchema = z.array(
  z.looseObject({
    name: z.string(),
    startTime: z.number(),
    endTime: z.number(),
    assertionResults: z.array(z.looseObject({ fullName: z.string(), duration: z.number().nullish() })),
  }),
);
type JestResults = z.infer<typeof jestResultsSchema>;

/** One sentence for each test of a project, or file of it, that takes longer than it may. */
export function tooSlow(project: string, results: JestResults, root: string): string[] {
  const nameOf = (file: string): string => path.relative(root, file);
  const tests = results.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ duration }) => project === 'unit' && (duration ?? 0) > LONGEST_UNIT_TEST_MS)
      .map(({ fullName, duration }) => `${nameOf(name)}: ${duration} ms: ${fullName}: make it a *.proof.test.ts`),
  );
  const files = results
    .filter(({ name, startTime, endTime }) => endTime - startTime > UNEXPLAINED_MS && !saysWhy(name))
    .map(({ name, startTime, endTime }) => `${nameOf(name)}: ${endTime - startTime} ms: say why at its top: Slow: …`);
  return [...tests, ...files];
}

function saysWhy(file: string): boolean {
  const top = fs.readFileSync(file, 'utf8').split('\n').slice(0, 40).join('\n');
  return /^(\/\/|\/\*\*| \*) Slow: \w/m.test(top);
}
