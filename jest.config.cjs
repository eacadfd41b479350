/** Two projects: `unit` needs nothing but Node; `e2e` runs against the real system that its global set-up starts. */
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

module.exports = {
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: [
        '<rootDir>/{services,shared,tools}/**/*.test.ts',
        '<rootDir>/test/{architecture,security,bench}/**/*.test.ts',
      ],
    },
    {
      ...common,
      displayName: 'e2e',
      testMatch: ['<rootDir>/test/e2e/**/*.test.ts'],
      globalSetup: '<rootDir>/test/e2e/support/global-setup.ts',
      globalTeardown: '<rootDir>/test/e2e/support/global-teardown.ts',
    },
  ],
};
