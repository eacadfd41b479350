import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../shared/process/config';
import { variableOf } from '../../shared/process/variable';
import { configure as allocation } from '../../services/allocation/config';
import { forwarderConfig } from '../../services/blockchain-forwarder/config';
import { configure as resourcePool } from '../../services/resource-pool/config';
import { connectDocker } from '../../services/task-runner/adapters/docker-connection';
import { configure as taskRunner } from '../../services/task-runner/config';
import { configurationTable, SERVICE_VARIABLES } from '../../tools/configuration-table';
import { TOOL_VARIABLES } from '../../tools/tool-variables';

/** Each variable of each service: a wrong value is refused at start, by its name and with what is allowed, unshown. */

const fit = {
  NODE_ENV: 'test',
  APP_PORT: '8101',
  DAPR_HTTP_PORT: '3101',
  APP_API_TOKEN: 'a-token-of-the-sidecar',
  JWT_SECRET: 'a-secret-that-is-long-enough-0123456789',
};

const START: Record<string, (environment: NodeJS.ProcessEnv) => unknown> = {
  'resource-pool': resourcePool,
  allocation,
  'task-runner': (environment) => connectDocker(taskRunner(environment)),
  'blockchain-forwarder': forwarderConfig,
};

const WRONG_BASE: Record<string, string> = {
  NODE_ENV: 'staging-wr0ng',
  APP_HOST: 'http://wr0ng/',
  APP_PORT: '65536',
  DAPR_HTTP_PORT: 'wr0ng',
  DAPR_API_TOKEN: 'too-short-wr0ng',
  APP_API_TOKEN: 'wr0ng with blanks in it',
  JWT_SECRET: 'wr0ng-31-bytes-are-not-enough..',
  JWKS_URL: 'ldap://wr0ng/jwks',
  JWT_ISSUER: ' wr0ng',
  JWT_AUDIENCE: 'wr0ng\nwr0ng',
  POLICY_FILE: '/nowhere/wr0ng.csv',
  LOG_LEVEL: 'wr0ng',
  RATE_LIMIT_PER_SECOND: '-1',
  BROKER_URL: 'http://wr0ng:4222',
  SEQ_URL: 'wr0ng:5341',
  SEQ_API_KEY: 'wr0ng\r\nX-Other: header',
};

/** Beside the wrong value, what gives it its meaning. */
const WRONG: Record<string, Record<string, string>> = {
  'resource-pool': WRONG_BASE,
  allocation: WRONG_BASE,
  'task-runner': {
    ...WRONG_BASE,
    INSTANCE: 'Wr0ng',
    SERVICE_TYPES_FILE: '/nowhere/wr0ng.yaml',
    TASK_LEASE_SECONDS: '2.5',
    DOCKER_HOST: 'ftp://wr0ng',
    DOCKER_CONTEXT: 'wr0ng',
    DOCKER_CONFIG: '/nowhere/at-all',
    DOCKER_CERT_PATH: '/nowhere/at-all',
    TASK_HOST: 'http://wr0ng',
    TASK_BIND: 'localhost',
    FRAME_ANCESTORS: '*; script-src wr0ng',
  },
  'blockchain-forwarder': {
    ...WRONG_BASE,
    EVM_RPC_URL: 'ws://wr0ng',
    EVM_CHAIN_ID: 'wr0ng',
    EVM_CONTRACT: '0xwr0ng',
    EVM_KEY: 'wr0ng',
    EVM_PRIVATE_KEY: '0xwr0ng',
    EVM_STUCK_MS: '99',
    EVM_MAX_FEE_GWEI: '0.0001',
    EVM_CONFIRMATIONS: '1.5',
    BLOCKCHAIN_SERVICE_URL: 'wr0ng',
    BLOCKCHAIN_SERVICE_TOKEN: 'wr0ng wr0ng',
    BLOCKCHAIN_SERVICE_TIMEOUT_MS: '10001',
    LEDGER_FILE: '/wr0ng/',
    LEDGER_BATCH_COUNT: '0',
    LEDGER_BATCH_BYTES: '999',
    LEDGER_BATCH_AGE_MS: '-1',
    LEDGER_SIGNING_KEY: 'wr0ng',
    LEDGER_RETIRED_KEYS: '/nowhere/wr0ng.json',
    DELIVERY_BACK_OFF_CAP_MS: 'wr0ng',
  },
};

const BESIDE: Record<string, Record<string, string>> = {
  DOCKER_CONFIG: { DOCKER_CONTEXT: 'remote' },
  DOCKER_CERT_PATH: { DOCKER_HOST: 'tcp://127.0.0.1:2376', DOCKER_TLS_VERIFY: '1' },
};
/** As docker itself has it: empty or not. */
const NEVER_WRONG = ['DOCKER_TLS', 'DOCKER_TLS_VERIFY'];
/** Checked when the engine's client is made: the fault says what exactly is amiss. */
const SAID_ELSEWHERE = ['DOCKER_HOST', 'DOCKER_CONTEXT', 'DOCKER_CONFIG', 'DOCKER_CERT_PATH'];

function faultsOf(service: string, environment: NodeJS.ProcessEnv): string {
  try {
    START[service]?.(environment);
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

describe.each(Object.entries(SERVICE_VARIABLES))('the environment of %s', (service, shape) => {
  const wrong = WRONG[service] ?? {};

  test('what is fit is taken', () => {
    expect(faultsOf(service, fit)).toBe('');
  });

  test('has a wrong value below for each variable, of which there is one', () => {
    const names = Object.keys(shape).filter((name) => !NEVER_WRONG.includes(name));
    expect(Object.keys(wrong).sort()).toEqual(names.sort());
  });

  test.each(Object.entries(wrong))('a wrong %s is refused by its name, with what is allowed', (name, value) => {
    const faults = faultsOf(service, { ...fit, ...BESIDE[name], [name]: value });
    expect(faults).toContain(name);
    if (!SAID_ELSEWHERE.includes(name))
      expect(faults).toContain(`${name}: must be ${variableOf(shape[name]!).allowed}`);
    expect(faults).not.toContain('wr0ng');
  });

  test('each says what it is for and what is allowed', () => {
    for (const [name, field] of Object.entries(shape)) {
      const { description, allowed } = variableOf(field);
      expect([name, description !== '', allowed !== '']).toEqual([name, true, true]);
    }
  });

  test('no secret has a default, and what is named like one is one, or leads to one', () => {
    const references = ['EVM_KEY', 'LEDGER_SIGNING_KEY', 'LEDGER_RETIRED_KEYS'];
    for (const [name, field] of Object.entries(shape)) {
      const { isSecret, fallback } = variableOf(field);
      if (isSecret) expect([name, fallback]).toEqual([name, undefined]);
      if (!references.includes(name)) expect([name, isSecret]).toEqual([name, /SECRET|TOKEN|KEY|PASSWORD/.test(name)]);
    }
  });

  test('what is left out opens nothing: loopback, production, no sink, no address of another', () => {
    const { NODE_ENV, ...defaults } = Object.fromEntries(
      Object.entries(shape).map(([name, field]) => [name, variableOf(field).fallback]),
    );
    expect(NODE_ENV).toBe('production');
    const addresses = Object.entries(defaults).filter(([name]) => /URL|HOST|BIND|RPC/.test(name));
    for (const [name, fallback] of addresses) expect([name, fallback ?? '127.0.0.1']).toEqual([name, '127.0.0.1']);
  });
});

describe('docs/configuration.md', () => {
  it('is what `npm run configuration` writes', () => {
    expect(readFileSync('docs/configuration.md', 'utf8')).toBe(configurationTable());
  });

  it('has every variable that tools, tests and components read', () => {
    // what one part tells another, and what every process has
    const internal = ['PATH', 'SET_CLOCK_FILE', 'SERVICE_TYPES_FILE'];
    const read = ['tools', 'test', 'components']
      .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)))
      .filter((file) => /\.(ts|cjs|yaml)$/.test(file))
      .flatMap((file) => [
        ...readFileSync(file, 'utf8').matchAll(/\benv(?:\.|\[')([A-Z][A-Z0-9_]+)|envRef: ([A-Z][A-Z0-9_]+)/g),
      ])
      .map(([, variable, reference]) => variable ?? reference!)
      .filter((name) => !internal.includes(name));
    expect(read.length).toBeGreaterThan(20);
    const told = new Set(TOOL_VARIABLES.map(({ name }) => name));
    expect([...new Set(read)].filter((name) => !told.has(name))).toEqual([]);
  });
});
