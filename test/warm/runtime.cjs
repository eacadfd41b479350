const { isBuiltin } = require('node:module');
const { default: Runtime } = require('jest-runtime');

/** Packages and what we ship. What is only there for tests is loaded anew for each test file, as is what counts them. */
const staysLoaded = (file) =>
  file.includes('/node_modules/')
    ? !file.includes('/node_modules/jest-circus/')
    : !/\/(test|testing)\/|\.test\./.test(file);

let first;

/**
 * Jest loads every module again for every test file, which takes longer than most tests do. Here a worker loads a package
 * or a module of the product once: the runtime of its first test file keeps it for the others.
 */
module.exports = class WarmRuntime extends Runtime {
  constructor(...rest) {
    super(...rest);
    first ??= this;
    // or a failure would point at lines that swc has made
    this.transformCache.sourceMaps = first.transformCache.sourceMaps;
  }

  requireModule(from, name, ...rest) {
    const isOurs = this === first || !name || isBuiltin(name) || !staysLoaded(this._resolution.resolveCjs(from, name));
    return isOurs ? super.requireModule(from, name, ...rest) : first.requireModule(from, name, ...rest);
  }

  leaveTestCode() {
    if (this !== first) super.leaveTestCode();
  }

  teardown() {
    if (this !== first) super.teardown();
  }
};
