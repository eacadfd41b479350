const { availableParallelism } = require('node:os');

/**
 * Four projects: `unit` needs nothing but Node, and seconds; `proofs` are the tests that take their time, or a real part
 * (a chain, a compiler, processes), and are named `*.proof.test.ts`; `e2e` runs against the real system that its global
 * set-up starts, and `own` beside it, on a system or an engine that each test brings itself.
 */
const common = {
  testEnvironment: 'node',
  transform: {
    '^.+\\.[cm]?[jt]s$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
    ],
  },
  // packages that ship ES modules only
  transformIgnorePatterns: [
    '/node_modules/(?!(canonicalize|jose|seq-logging|zod-openapi|@seriousme/openapi-schema-validator)/)',
  ],
  // it has no entry for require(), which is what jest makes of import()
  moduleNameMapper: { '^canonicalize$': '<rootDir>/node_modules/canonicalize/lib/canonicalize.js' },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.run/'],
};

const PROOF = '.proof.test.ts';
const withoutSystem = (suffix) => [
  `<rootDir>/{services,shared,tools}/**/*${suffix}`,
  `<rootDir>/test/{architecture,security,bench}/**/*${suffix}`,
];

module.exports = {
  // jest would leave a core to itself: on two, half of them; and some tests wait, which the third worker of two cores fills
  maxWorkers: Math.ceil(availableParallelism() * 1.5),
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: [...withoutSystem('.test.ts'), `!**/*${PROOF}`],
      testEnvironment: '<rootDir>/test/warm/environment.cjs',
      runtime: '<rootDir>/test/warm/runtime.cjs',
    },
    { ...common, displayName: 'proofs', testMatch: withoutSystem(PROOF) },
    {
      ...common,
      displayName: 'e2e',
      testMatch: ['<rootDir>/test/e2e/*.test.ts'],
      globalSetup: '<rootDir>/test/e2e/support/global-setup.ts',
      globalTeardown: '<rootDir>/test/e2e/support/global-teardown.ts',
    },
    { ...common, displayName: 'own', testMatch: ['<rootDir>/test/e2e/own/*.test.ts'] },
  ],
};
