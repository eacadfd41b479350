const { TestEnvironment } = require('jest-environment-node');

let first;

/**
 * One realm for all test files of a worker, so that modules can stay loaded from one file to the next (./runtime.cjs).
 * What a test file changes in process.env ends with it.
 */
module.exports = class WarmEnvironment extends TestEnvironment {
  constructor(config, context) {
    if (first) return first;
    super(config, context);
    first = this;
  }

  async setup() {
    // jest-circus adds its reporters for each file to those that it finds
    delete this.global[Symbol.for('EVENT_HANDLERS')];
    this.variables = { ...this.global.process.env };
  }

  async teardown() {
    this.fakeTimersModern.useRealTimers();
    const { env } = this.global.process;
    for (const name of Object.keys(env)) if (!(name in this.variables)) delete env[name];
    Object.assign(env, this.variables);
  }
};
