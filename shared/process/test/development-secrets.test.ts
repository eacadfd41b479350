import { hash } from 'node:crypto';
import { toHex } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { baseConfig, ConfigError, developmentSecret, isProduction, readConfig } from '../config';

let draws = 0;
const random = (encoding: BufferEncoding): string => hash('sha256', `draw ${draws++}`, 'buffer').toString(encoding);
const fit = (): Record<string, string> => ({
  APP_PORT: '8101',
  DAPR_HTTP_PORT: '3101',
  DAPR_API_TOKEN: random('hex'),
  APP_API_TOKEN: random('base64'),
  JWT_SECRET: random('base64url'),
  SEQ_API_KEY: random('base64').slice(0, 20),
});

function faultsOf(environment: NodeJS.ProcessEnv): string {
  try {
    readConfig(baseConfig, environment);
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

const PUBLISHED = Array.from({ length: 10 }, (_, addressIndex) => {
  const account = mnemonicToAccount(`${'test '.repeat(11)}junk`, { addressIndex });
  return toHex(account.getHdKey().privateKey ?? new Uint8Array());
});

describe('what counts as a development secret', () => {
  it.each(PUBLISHED)("the key %s of a development node's accounts, however it is written", (key) => {
    for (const written of [key, key.slice(2), key.toUpperCase().replace('0X', '0x'), ` ${key}\n`])
      expect(developmentSecret(written)).toContain('published key');
  });

  it.each([
    'your-256-bit-secret',
    'a-string-secret-at-least-256-bits-long',
    'change-me-change-me-change-me-now',
    'ChangeThisBeforeYouGoLive-0123456',
    'an-example-of-thirty-two-bytes-at-least',
    'correct-horse-PASSWORD-battery-staple',
    'dapr-api-token-47110815',
    'only-for-development-on-this-machine',
    'our-dev-key-of-the-whole-team-2026',
  ])('the placeholder %s', (text) => {
    expect(developmentSecret(text)).toContain('placeholder');
  });

  it.each([
    ['one character', 'x'.repeat(64)],
    ['few characters', 'abcabaccbaabccabbcaacbbacbacbabc'],
    ['one piece over and over', '9f3kq7zw'.repeat(4)],
    ['the alphabet', 'abcdefghijklmnopqrstuvwxyz7q1k9z'],
    ['counting', '00112233445566778899aabbccddeeff'],
    ['the smallest key', `0x${'1'.padStart(64, '0')}`],
  ])('what is no random text: %s', (_, text) => {
    expect(developmentSecret(text)).toContain('not random');
  });

  it('of what is drawn at random nothing, in any usual form', () => {
    const forms = () => [random('hex'), random('base64'), random('base64url'), random('hex').slice(0, 16)];
    const drawn = Array.from({ length: 2_000 }, forms).flat();
    expect(drawn.filter((text) => developmentSecret(text) !== undefined)).toEqual([]);
  });

  it('and what is not there is none', () => {
    expect(developmentSecret('')).toBeUndefined();
  });
});

describe('a start in production', () => {
  const secrets = Object.keys(fit()).filter((name) => !name.endsWith('PORT'));

  it('is what whoever says nothing has', () => {
    expect(readConfig(baseConfig, fit()).NODE_ENV).toBe('production');
    const is = ['production', '', 'staging', 'development', 'test'].map((NODE_ENV) => isProduction({ NODE_ENV }));
    expect(is).toEqual([true, true, true, false, false]);
    expect(isProduction({})).toBe(true);
  });

  it.each(secrets)('refuses a development secret in %s by its name, and development takes it', (name) => {
    const weak = 'change-me-change-me-change-me-0815';
    for (const mode of [{}, { NODE_ENV: '' }, { NODE_ENV: 'production' }]) {
      const faults = faultsOf({ ...fit(), [name]: weak, ...mode });
      expect(faults).toContain(`${name}: it is a placeholder, which production refuses`);
      expect(faults).not.toContain(weak);
    }
    expect(faultsOf({ ...fit(), [name]: weak, NODE_ENV: 'development' })).toBe('');
  });

  it('tells all of them at once, beside other faults', () => {
    const faults = faultsOf({ ...fit(), APP_PORT: '0', JWT_SECRET: 'x'.repeat(32), APP_API_TOKEN: 'y'.repeat(16) });
    for (const name of ['APP_PORT', 'JWT_SECRET', 'APP_API_TOKEN']) expect(faults).toContain(`${name}: `);
  });

  it('when a mode is misspelt, then it is refused, and nothing is let through', () => {
    const faults = faultsOf({ ...fit(), NODE_ENV: 'Development', JWT_SECRET: 'x'.repeat(32) });
    expect(faults).toContain('NODE_ENV: must be production, development, test');
    expect(faults).toContain('JWT_SECRET: it is not random');
  });
});
