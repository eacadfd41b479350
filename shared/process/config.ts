import { z } from 'zod';
import { isNatsUrl } from '../dapr/broker';
import {
  FILE_TO_READ,
  fileToRead,
  HEADER_TEXT,
  headerText,
  HTTP_URL,
  httpUrl,
  variableOf,
  type Variable,
} from './variable';

const port = z.coerce.number().int().min(1).max(65535);
const claim = z.string().regex(/^[\x21-\x7e]+( [\x21-\x7e]+)*$/);
const CLAIM = 'one line of printable ASCII without spaces around it';
const TOKEN = `at least 16 characters, ${HEADER_TEXT}`;

/** Variables that every service reads. Empty ones count as absent. */
export const baseConfig = {
  NODE_ENV: z
    .enum(['production', 'development', 'test'])
    .default('production')
    .meta({ description: 'production refuses development secrets' }),
  APP_HOST: z
    .string()
    .regex(/^[\w.:-]+$/)
    .default('127.0.0.1')
    .meta({ description: 'address to listen on', allowed: 'a host name or an IP address' }),
  APP_PORT: port.meta({ description: 'port to listen on' }),
  DAPR_HTTP_PORT: port.meta({ description: "the own sidecar's HTTP port" }),
  DAPR_API_TOKEN: headerText
    .min(16)
    .optional()
    .meta({ description: 'token that the sidecar asks of this service', allowed: TOKEN, secret: true }),
  APP_API_TOKEN: headerText
    .min(16)
    .meta({ description: 'token by which the sidecar proves itself', allowed: TOKEN, secret: true }),
  JWT_SECRET: z
    .string()
    .refine((secret) => Buffer.byteLength(secret) >= 32)
    .optional()
    .meta({ description: 'shared secret of HS256 tokens', allowed: 'at least 32 bytes', secret: true }),
  JWKS_URL: httpUrl
    .optional()
    .meta({ description: "the IdentityService's key set, for RS256 and ES256 tokens", allowed: HTTP_URL }),
  JWT_ISSUER: claim.default('resource-manager').meta({ description: 'issuer that tokens must name', allowed: CLAIM }),
  JWT_AUDIENCE: claim
    .default('resource-manager')
    .meta({ description: 'audience that tokens must name', allowed: CLAIM }),
  POLICY_FILE: fileToRead
    .default('shared/authz/policy.csv')
    .meta({ description: 'Casbin policies', allowed: FILE_TO_READ }),
  RATE_LIMIT_PER_SECOND: z.coerce.number().int().min(0).max(1_000_000).default(1000).meta({
    description: 'requests that one caller may send to one process; services may send any number; 0: no limit',
  }),
  LOG_LEVEL: z
    .enum(['error', 'warn', 'info', 'debug'])
    .default('info')
    .meta({ description: 'least level that is logged' }),
  BROKER_URL: z.string().refine(isNatsUrl).optional().meta({
    description:
      'broker of the events, where something starts a sidecar that ends again: when it is back, one that gave it up is ended',
    allowed: 'URLs of NATS (nats:// or tls://) with commas between',
  }),
  SEQ_URL: httpUrl.optional().meta({ description: 'Seq server that gets a copy of the log', allowed: HTTP_URL }),
  SEQ_API_KEY: headerText.optional().meta({ description: 'key for Seq', allowed: HEADER_TEXT, secret: true }),
};

/** The environment does not fit; the message lists every fault, and never a value. */
export class ConfigError extends Error {
  constructor(faults: string[]) {
    super(`The configuration is not usable:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

/** Parses an environment by a service's schema. @throws ConfigError naming every fault at once */
export function readConfig<S extends z.ZodRawShape>(
  shape: S,
  environment: NodeJS.ProcessEnv,
): z.output<z.ZodObject<S>> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = z.object(shape).safeParse(given);
  const wrong = new Set(parsed.error?.issues.map((issue) => issue.path.join('.')));
  const faults = [...wrong].map((name) => {
    const { description, allowed } = said(shape, name);
    return given[name] === undefined ? `${name} is missing (${description})` : `${name}: must be ${allowed}`;
  });
  if ('JWT_SECRET' in shape && given['JWT_SECRET'] === undefined && given['JWKS_URL'] === undefined) {
    faults.push('JWT_SECRET or JWKS_URL is needed, else no token can be proved');
  }
  if (isProduction(environment)) faults.push(...developmentFaults(shape, given));
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return parsed.data;
}

function said(shape: z.ZodRawShape, name: string): Variable {
  return variableOf(shape[name] as z.ZodType);
}

/** Whoever forgets to say where this runs has said production. */
export function isProduction(environment: NodeJS.ProcessEnv): boolean {
  return environment['NODE_ENV'] !== 'development' && environment['NODE_ENV'] !== 'test';
}

function developmentFaults(shape: z.ZodRawShape, given: NodeJS.ProcessEnv): string[] {
  return Object.keys(shape).flatMap((name) => {
    const why = said(shape, name).isSecret ? developmentSecret(given[name] ?? '') : undefined;
    return why === undefined ? [] : [`${name}: ${why}, which production refuses; set a random one of its own`];
  });
}

/** The accounts of every anvil and hardhat node ("test test … junk"): published, so no secret. */
const PUBLISHED_KEYS = new Set([
  'ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  '59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
  '5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a',
  '7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6',
  '47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a',
  '8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba',
  '92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e',
  '4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356',
  'dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97',
  '2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6',
]);
/** Words that people write where a secret is still to come; the short ones only where they stand alone. */
const PLACEHOLDER =
  /secret|change.?(me|this|it)|replace.?(me|this|it)|example|placeholder|password|insecure|development|(?<![a-z0-9])(dev|test|local|dummy|sample|token|your)(?![a-z0-9])/i;
const FEW_CHARACTERS = 5;

/**
 * Decides what counts as a development secret: a published key, a placeholder, or what nobody drew at random.
 * @returns why it is one, without showing it; undefined for one that may be used, and for none
 */
export function developmentSecret(text: string): string | undefined {
  const secret = text.trim();
  if (secret === '') return undefined;
  if (PUBLISHED_KEYS.has(secret.toLowerCase().replace(/^0x/, ''))) return 'it is a published key of development chains';
  if (PLACEHOLDER.test(secret)) return 'it is a placeholder';
  return isRandom(secret) ? undefined : 'it is not random';
}

/** Neither few characters, nor one piece over and over, nor a row as of the alphabet. */
function isRandom(text: string): boolean {
  const codes = [...text].map((character) => character.codePointAt(0) ?? 0);
  const inRow = codes.filter((code, at) => at > 0 && Math.abs(code - (codes[at - 1] ?? 0)) <= 1).length;
  return new Set(codes).size >= FEW_CHARACTERS && !/^(.+?)\1+$/su.test(text) && inRow < (codes.length - 1) * 0.75;
}
