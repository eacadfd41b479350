import { z } from 'zod';
import { baseConfig, readConfig } from '../../shared/process/config';
import { FILE_TO_READ, fileToRead } from '../../shared/process/variable';

/** The environment of task-runner, beside what every service reads. */
export const configShape = {
  ...baseConfig,
  INSTANCE: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,30}$/)
    .default('default')
    .meta({
      description: 'which of several systems on one container host this is; its containers are labelled with it',
      allowed: 'at most 31 lower-case letters, digits and hyphens',
    }),
  SERVICE_TYPES_FILE: fileToRead
    .default('services/task-runner/service-types.yaml')
    .meta({ description: 'what can be started', allowed: FILE_TO_READ }),
  TASK_LEASE_SECONDS: z.coerce
    .number()
    .int()
    .min(3)
    .max(2_592_000)
    .default(300)
    .meta({ description: 'so long what a task holds stays taken when nobody renews it' }),
  // these mean what they mean to the docker command line, and are checked when the engine's client is made
  DOCKER_HOST: z.string().optional().meta({
    description: 'where the Docker Engine is, when not at the local socket',
    allowed: 'unix://PATH, tcp://HOST[:PORT] or ssh://[USER@]HOST[:PORT][/PATH]',
  }),
  DOCKER_CONTEXT: z.string().optional().meta({
    description: 'without DOCKER_HOST: the context that says it',
    allowed: 'the name of a context of the docker command line',
  }),
  DOCKER_CONFIG: z.string().optional().meta({
    description: 'folder of contexts, and of certificates unless told; else ~/.docker',
    allowed: 'the path of a folder',
  }),
  DOCKER_CERT_PATH: z.string().optional().meta({
    description: 'folder of ca.pem, cert.pem and key.pem; else DOCKER_CONFIG',
    allowed: 'the path of a folder that has them, with TLS',
  }),
  DOCKER_TLS: z.string().optional().meta({ description: 'not empty: TLS', allowed: 'anything' }),
  DOCKER_TLS_VERIFY: z
    .string()
    .optional()
    .meta({ description: 'not empty: TLS, and the engine must prove itself', allowed: 'anything' }),
  TASK_HOST: z
    .string()
    .regex(/^[\w.-]+$/)
    .default('127.0.0.1')
    .meta({
      description: "host by which a browser reaches the tasks' ports",
      allowed: 'a host name or an IPv4 address',
    }),
  TASK_BIND: z
    .ipv4()
    .default('127.0.0.1')
    .meta({ description: "host address on which the tasks' ports are bound", allowed: 'an IPv4 address' }),
  FRAME_ANCESTORS: z
    .string()
    // it becomes part of a header and of a JSON text in a command
    .regex(/^[\w\s:/.*'[\]-]+$/)
    .default("'self' http://127.0.0.1:* http://localhost:*")
    .meta({
      description: 'origins that may frame the page of a task',
      allowed: 'a list of origins as in Content-Security-Policy',
    }),
};

/** @throws ConfigError that lists every fault */
export function configure(environment: NodeJS.ProcessEnv) {
  return readConfig(configShape, environment);
}
