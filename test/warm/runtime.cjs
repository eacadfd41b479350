const { default: Runtime } = require('jest-runtime');

/** Packages and what we ship. What is only there for tests is loaded anew for each test file. */
const STAYS = (path) => path.includes('/node_modules/') || !/\/(test|testing)\/|\.test\./.test(path);

let first;

/**
 * Jest loads every module again for every test file, which takes longer than most tests do. Here a worker loads a package
 * or a module of the product once: the runtime of its first test file keeps it for the others.
 */
module.exports = class WarmRuntime extends Runtime {
  constructor(...rest) {
    super(...rest);
    first ??= this;
  }

  requireModule(from, name, options, isRequireActual) {
    const isOurs = this === first || options?.isInternalModule || !name || this._resolution.isCoreModule(name);
    if (isOurs || !STAYS(this._resolution.resolveCjs(from, name)))
      return super.requireModule(from, name, options, isRequireActual);
    return first.requireModule(from, name, options, isRequireActual);
  }

  getSourceMaps() {
    return this === first ? super.getSourceMaps() : new Map([...first.getSourceMaps(), ...super.getSourceMaps()]);
  }

  leaveTestCode() {
    if (this !== first) super.leaveTestCode();
  }

  teardown() {
    if (this !== first) super.teardown();
  }
};
