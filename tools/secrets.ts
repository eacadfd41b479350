import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Instance } from './instance';

const secretsSchema = z.object({
  jwtSecret: z.string(),
  daprApiToken: z.string(),
  appApiToken: z.string(),
  postgresPassword: z.string(),
  /** Of the Ed25519 key that signs receipts. */
  ledgerSigningSeed: z.string(),
});

const partialSchema = secretsSchema.partial();

export type Secrets = z.infer<typeof secretsSchema>;

/**
 * The secrets of a development instance: made once, kept in its folder, readable by its owner only. JWT_SECRET,
 * DAPR_API_TOKEN and APP_API_TOKEN of the environment win.
 */
export function instanceSecrets(instance: Instance, env: NodeJS.ProcessEnv = process.env): Secrets {
  const kept = keptSecrets(instance);
  return {
    ...kept,
    jwtSecret: env.JWT_SECRET || kept.jwtSecret,
    daprApiToken: env.DAPR_API_TOKEN || kept.daprApiToken,
    appApiToken: env.APP_API_TOKEN || kept.appApiToken,
  };
}

/** Whether the instance has been started before. */
export function hasSecrets(instance: Instance): boolean {
  return fs.existsSync(secretsFile(instance));
}

function secretsFile(instance: Instance): string {
  return path.join(instance.runDir, 'secrets.json');
}

function keptSecrets(instance: Instance): Secrets {
  const file = secretsFile(instance);
  const kept = fs.existsSync(file) ? partialSchema.parse(JSON.parse(fs.readFileSync(file, 'utf8'))) : {};
  const names = Object.keys(secretsSchema.shape);
  // an instance of an earlier version lacks what came later
  const fresh = Object.fromEntries(names.map((name) => [name, randomBytes(32).toString('hex')]));
  const secrets = secretsSchema.parse({ ...fresh, ...kept });
  if (names.some((name) => !(name in kept))) {
    fs.mkdirSync(instance.runDir, { recursive: true });
    fs.writeFileSync(file, JSON.stringify(secrets, null, 2), { mode: 0o600 });
  }
  return secrets;
}
