const [unit] = require('../../jest.config.cjs').projects;

/** Unit tests as mutants run against them; tools/mutate.ts says which, in the global TESTS. */
module.exports = {
  ...unit,
  rootDir: '../..',
  roots: ['<rootDir>/tools/mutation'],
  testMatch: ['<rootDir>/tools/mutation/tests.cjs'],
  moduleNameMapper: { ...unit.moduleNameMapper, '^fast-check$': '<rootDir>/tools/mutation/few-runs.cjs' },
};
