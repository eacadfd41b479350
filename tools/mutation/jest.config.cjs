// the modules of `unit` stay loaded from one run to the next, so mutants would not be seen: here they do not
const [unit] = require('../../jest.config.cjs').projects;

/** Unit tests as mutants run against them; tools/mutate.ts says which, in the global TESTS. */
module.exports = {
  ...unit,
  testEnvironment: 'node',
  runtime: 'jest-runtime',
  rootDir: '../..',
  roots: ['<rootDir>/tools/mutation'],
  testMatch: ['<rootDir>/tools/mutation/tests.cjs'],
  moduleNameMapper: { ...unit.moduleNameMapper, '^fast-check$': '<rootDir>/tools/mutation/few-runs.cjs' },
};
