import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const dockerfiles = ['deploy', 'test/e2e/images', 'test/e2e/support', 'tools'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /(^|\/)Dockerfile[^/]*$/.test(file))
    .map((file) => join(folder, file)),
);

test('there are images of ours', () => {
  expect(dockerfiles.length).toBeGreaterThan(0);
});

test.each(dockerfiles)('%s ends with a user by number that is not root', (file) => {
  const user = [...readFileSync(file, 'utf8').matchAll(/^USER\s+(\S+)/gm)].at(-1)?.[1];
  // by number: a name could be anybody in the image
  expect(user).toMatch(/^[1-9]\d*(:\d+)?$/);
});
