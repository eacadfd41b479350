import { z } from 'zod';
import { baseConfig, ConfigError, readConfig } from '../config';

const good = {
  NODE_ENV: 'test',
  APP_PORT: '8101',
  DAPR_HTTP_PORT: '3101',
  APP_API_TOKEN: 'a-token-of-the-sidecar',
  JWT_SECRET: 'a-secret-that-is-long-enough-0123456789',
};

function faultsOf(environment: NodeJS.ProcessEnv, shape: z.ZodRawShape = baseConfig): string {
  try {
    readConfig(shape, environment);
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

test('what is not given has its default, and foreign variables are ignored', () => {
  expect(readConfig(baseConfig, { ...good, PATH: '/bin' })).toEqual({
    NODE_ENV: 'test',
    APP_HOST: '127.0.0.1',
    APP_PORT: 8101,
    DAPR_HTTP_PORT: 3101,
    APP_API_TOKEN: good.APP_API_TOKEN,
    JWT_SECRET: good.JWT_SECRET,
    JWT_ISSUER: 'resource-manager',
    JWT_AUDIENCE: 'resource-manager',
    POLICY_FILE: 'shared/authz/policy.csv',
    RATE_LIMIT_PER_SECOND: 1000,
    LOG_LEVEL: 'info',
  });
});

test('every fault is told at once, and never a value', () => {
  const message = faultsOf({
    APP_PORT: 'eighty',
    APP_API_TOKEN: 'short',
    JWT_SECRET: 'hunter2',
    SEQ_URL: 'no url at all',
    LOG_LEVEL: 'loud',
  });
  for (const name of ['APP_PORT', 'DAPR_HTTP_PORT', 'APP_API_TOKEN', 'JWT_SECRET', 'SEQ_URL', 'LOG_LEVEL'])
    expect(message).toContain(name);
  expect(message).toContain('DAPR_HTTP_PORT is missing');
  expect(message).not.toMatch(/eighty|short|hunter2|no url|loud/);
});

test.each(['0', '65536', '-1', '80.5', 'NaN', ' '])('a port of %p is refused', (value) => {
  expect(faultsOf({ ...good, APP_PORT: value })).toContain('APP_PORT');
});

test('an empty variable counts as absent', () => {
  expect(readConfig(baseConfig, { ...good, SEQ_URL: '', APP_HOST: '' })).toMatchObject({ APP_HOST: '127.0.0.1' });
  expect(faultsOf({ ...good, APP_API_TOKEN: '' })).toContain('APP_API_TOKEN is missing');
});

test('without secret and key set no token could be proved; either is enough', () => {
  const { JWT_SECRET: _, ...without } = good;
  expect(faultsOf(without)).toContain('JWT_SECRET or JWKS_URL');
  expect(faultsOf({ ...without, JWKS_URL: 'https://id.example/jwks' })).toBe('');
});

test('31 bytes are no secret, 32 are, counted as bytes', () => {
  expect(faultsOf({ ...good, JWT_SECRET: 'x'.repeat(31) })).toContain('at least 32 bytes');
  expect(faultsOf({ ...good, JWT_SECRET: 'x'.repeat(32) })).toBe('');
  expect(faultsOf({ ...good, JWT_SECRET: 'ü'.repeat(16) })).toBe('');
});

test('a service adds its own variables, and says what a missing one is for', () => {
  const shape = { ...baseConfig, TASK_HOST: z.string().meta({ description: 'host that browsers reach tasks at' }) };
  expect(faultsOf(good, shape)).toContain('TASK_HOST is missing (host that browsers reach tasks at)');
});
