import { uuid } from '../fields';
import { uuidFromName } from '../ids';

test('the same name gives the same id, in this and in every later release', () => {
  expect(uuidFromName('task.stopped:1')).toBe(uuidFromName('task.stopped:1'));
  expect(uuidFromName('')).toBe('e3b0c442-98fc-8c14-9afb-f4c8996fb924');
});

test('other names give other ids, and each is a UUID of version 8', () => {
  const ids = Array.from({ length: 2_000 }, (_, index) => uuidFromName(`name ${index}`));
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(uuid.safeParse(id).success).toBe(true);
  }
});
