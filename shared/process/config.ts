import { z } from 'zod';

const port = z.coerce.number().int().min(1).max(65535);

/** Variables that every service reads. Empty ones count as absent. */
export const baseConfig = {
  APP_HOST: z.string().default('127.0.0.1').meta({ description: 'address to listen on' }),
  APP_PORT: port.meta({ description: 'port to listen on' }),
  DAPR_HTTP_PORT: port.meta({ description: "the own sidecar's HTTP port" }),
  DAPR_API_TOKEN: z.string().min(16).optional().meta({ description: 'token that the sidecar asks of this service' }),
  APP_API_TOKEN: z.string().min(16).meta({ description: 'token by which the sidecar proves itself' }),
  JWT_SECRET: z
    .string()
    .refine((secret) => Buffer.byteLength(secret) >= 32, 'must be at least 32 bytes')
    .optional()
    .meta({ description: 'shared secret of HS256 tokens, at least 32 bytes' }),
  JWKS_URL: z.url().optional().meta({ description: "the IdentityService's key set, for RS256 and ES256 tokens" }),
  JWT_ISSUER: z.string().min(1).default('resource-manager').meta({ description: 'issuer that tokens must name' }),
  JWT_AUDIENCE: z.string().min(1).default('resource-manager').meta({ description: 'audience that tokens must name' }),
  POLICY_FILE: z.string().default('shared/authz/policy.csv').meta({ description: 'Casbin policies' }),
  RATE_LIMIT_PER_SECOND: z.coerce.number().int().min(0).max(1_000_000).default(1000).meta({
    description: 'requests that one caller may send to one process; services may send any number; 0: no limit',
  }),
  LOG_LEVEL: z
    .enum(['error', 'warn', 'info', 'debug'])
    .default('info')
    .meta({ description: 'least level that is logged' }),
  SEQ_URL: z.url().optional().meta({ description: 'Seq server that gets a copy of the log' }),
  SEQ_API_KEY: z.string().optional().meta({ description: 'key for Seq' }),
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
  const faults = parsed.success
    ? []
    : parsed.error.issues.map((issue) => {
        const name = issue.path.join('.');
        return given[name] === undefined
          ? `${name} is missing (${describe(shape, name)})`
          : `${name}: ${issue.message}`;
      });
  if ('JWT_SECRET' in shape && given['JWT_SECRET'] === undefined && given['JWKS_URL'] === undefined) {
    faults.push('JWT_SECRET or JWKS_URL is needed, else no token can be proved');
  }
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return parsed.data;
}

function describe(shape: z.ZodRawShape, name: string): string {
  const field = shape[name];
  return (field instanceof z.ZodType ? field.meta()?.description : undefined) ?? 'see README';
}
