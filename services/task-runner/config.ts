import { z } from 'zod';
import { baseConfig, readConfig } from '../../shared/process/config';

/** The environment of task-runner, beside what every service reads. */
export const configShape = {
  ...baseConfig,
  INSTANCE: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,30}$/, 'must be lower-case letters, digits and hyphens')
    .default('default')
    .meta({
      description: 'which of several systems on one container host this is; its containers are labelled with it',
    }),
  SERVICE_TYPES_FILE: z
    .string()
    .default('services/task-runner/service-types.yaml')
    .meta({ description: 'what can be started' }),
  TASK_LEASE_SECONDS: z.coerce
    .number()
    .int()
    .min(3)
    .max(2_592_000)
    .default(300)
    .meta({ description: 'so long what a task holds stays taken when nobody renews it' }),
  // these mean what they mean to the docker command line, and are checked when the engine's client is made
  DOCKER_HOST: z.string().optional().meta({ description: 'where the Docker Engine is' }),
  DOCKER_CONTEXT: z.string().optional().meta({ description: 'the context that says it, without DOCKER_HOST' }),
  DOCKER_CONFIG: z.string().optional().meta({ description: 'folder of contexts, and of certificates unless told' }),
  DOCKER_CERT_PATH: z.string().optional().meta({ description: 'folder of ca.pem, cert.pem and key.pem' }),
  DOCKER_TLS: z.string().optional().meta({ description: 'not empty: TLS' }),
  DOCKER_TLS_VERIFY: z.string().optional().meta({ description: 'not empty: TLS, and the engine must prove itself' }),
  TASK_HOST: z
    .string()
    .regex(/^[\w.-]+$/, 'must be a host name or an IPv4 address')
    .default('127.0.0.1')
    .meta({ description: "host by which a browser reaches the tasks' ports" }),
  TASK_BIND: z.ipv4().default('127.0.0.1').meta({ description: "host address on which the tasks' ports are bound" }),
  FRAME_ANCESTORS: z
    .string()
    // it becomes part of a header and of a JSON text in a command
    .regex(/^[\w\s:/.*'[\]-]+$/, 'must be a list of origins as in Content-Security-Policy')
    .default("'self' http://127.0.0.1:* http://localhost:*")
    .meta({ description: 'origins that may frame the page of a task' }),
};

export type Config = ReturnType<typeof configure>;

/** @throws ConfigError that lists every fault */
export function configure(environment: NodeJS.ProcessEnv) {
  return readConfig(configShape, environment);
}
