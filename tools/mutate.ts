import type { Stryker } from '@stryker-mutator/core';
import { explain, Failure } from './failure';

/**
 * `npm run mutate [-- CORE …]`: changes the pure rules of a core in every small way that Stryker knows, one at a time, and
 * counts the changes that its unit tests notice. Fails where they are less than 80 %, for each core by itself.
 */

type StrykerOptions = NonNullable<ConstructorParameters<typeof Stryker>[0]>;

interface Core {
  service: string;
  /** The fast tests of its rules; each mutant loads all of them. */
  tests: readonly string[];
}

const CORES: Record<string, Core> = {
  allocation: {
    service: 'allocation',
    tests: [
      ...['candidates', 'decide-many.proof', 'decide-orders', 'order-rows', 'placement', 'placement.proof'],
      ...['pool-commands', 'pool-commands.proof', 'terms', 'waiting', 'waiting-model.proof'],
    ],
  },
  tasks: { service: 'task-runner', tests: ['task', 'task-capacity', 'lifetime'] },
  ledger: {
    service: 'blockchain-forwarder',
    tests: [
      ...['anchoring', 'bytes', 'close-batches', 'fees', 'leaf', 'ledger-tree', 'merkle.proof'],
      ...['receipt.proof', 'record-rules', 'usage-record'],
    ],
  },
};
const LEAST = 80;
/** Tests of these take longest, of something else than one rule: ten thousand receipts, sizes, speed, other libraries. */
const SLOW = [
  ...['at any of its bytes', 'path alone still guards', 'any size to 70', '1,?000 records', 'as large as any'],
  ...['less than 5 ms', 'leaves come together', 'not ours', 'for ever is given up'],
].join('|');

function optionsFor(core: string, { service, tests }: Core): StrykerOptions {
  const reports = `.run/mutation/${core}`;
  const domain = `services/${service}/domain`;
  return {
    // errors.ts of allocation and forwarder only gives codes their sentences; that of task-runner decides as well
    mutate: [`${domain}/**/*.ts`, ...(service === 'task-runner' ? [] : [`!${domain}/errors.ts`])],
    testRunner: 'jest',
    jest: {
      configFile: 'tools/mutation/jest.config.cjs',
      // the one file of tests is no relative of what it loads by name
      enableFindRelatedTests: false,
      config: {
        globals: { TESTS: tests.map((test) => `services/${service}/test/${test}.test`) },
        testNamePattern: `^(?!.*(${SLOW}))`,
      },
    },
    coverageAnalysis: 'perTest',
    concurrency: 2,
    // what loops for ever is found by counting; by the clock, a busy machine would make kills of slow runs
    timeoutMS: 120_000,
    disableTypeChecks: false,
    ignorePatterns: ['dist', '.dapr', '.run', 'coverage'],
    tempDirName: `${reports}-sandbox`,
    reporters: ['progress-append-only', 'clear-text', 'html', 'json'],
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
    htmlReporter: { fileName: `${reports}.html` },
    jsonReporter: { fileName: `${reports}.json` },
    thresholds: { high: 90, low: LEAST, break: LEAST },
  };
}

async function mutate(names: readonly string[]): Promise<void> {
  const stryker = await import('@stryker-mutator/core');
  for (const name of names.length > 0 ? names : Object.keys(CORES)) {
    const core = CORES[name];
    if (!core) throw new Failure(`There is no core "${name}": one of ${Object.keys(CORES).join(', ')}.`);
    // it sets the exit code of this process to 1 when too few are noticed
    await new stryker.Stryker(optionsFor(name, core)).runMutationTest();
  }
}

mutate(process.argv.slice(2)).catch((error: unknown) => {
  console.error(explain(error));
  process.exitCode = 1;
});
