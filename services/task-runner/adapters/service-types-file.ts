import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { messageOf } from '../../../shared/errors';
import { ConfigError } from '../../../shared/process/config';
import { PLACEHOLDERS, unknownPlaceholders, type ServiceType } from '../domain/service-type';

const UNITS = { '': 1, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 } as const;

const bytes = z
  .union([z.int().positive(), z.string().regex(/^\d+(Ki|Mi|Gi)?$/, 'must be bytes, or a number with Ki, Mi or Gi')])
  .transform((given) => {
    const [, digits = '', unit = ''] = /^(\d+)(Ki|Mi|Gi|)$/.exec(String(given)) ?? [];
    return Number(digits) * UNITS[unit as keyof typeof UNITS];
  })
  // Docker refuses less
  .refine((size) => size >= 6 * 1024 ** 2, 'must be at least 6Mi');

const template = z.string().superRefine((text, context) => {
  for (const name of unknownPlaceholders(text)) {
    context.addIssue({ code: 'custom', message: `{${name}} stands for nothing; known are ${PLACEHOLDERS.join(', ')}` });
  }
});

const path = template.refine(
  (text) => text.startsWith('/') && !/\s/.test(text),
  'must begin with / and hold no blanks',
);

const serviceType = z.strictObject({
  description: z.string().default(''),
  image: z.string().regex(/^[\w][\w./:@-]*$/, 'must be the name of an image'),
  containerPort: z.int().min(1).max(65535),
  command: z.array(template).min(1).optional(),
  env: z.record(z.string().regex(/^[A-Za-z_]\w*$/, 'must be the name of a variable'), template).default({}),
  resources: z.strictObject({
    cpu: z.number().min(0.01, 'must be at least 0.01 cores').max(1024),
    memory: bytes,
    pids: z.int().min(1).max(100_000),
  }),
  stopGraceSeconds: z.int().min(0).max(300).default(5),
  capacity: z.strictObject({ pool: z.string().min(1).max(200), units: z.int().min(1) }),
  iframePath: path.default('/'),
  readiness: z.strictObject({ path, timeoutSeconds: z.int().min(1).max(600) }),
});

const file = z.strictObject({
  serviceTypes: z.record(
    z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a name is lower-case letters, digits and hyphens'),
    serviceType,
  ),
});

/**
 * Reads the service types.
 * @throws ConfigError with one line for every fault of the file
 */
export function readServiceTypes(fileName: string): Map<string, ServiceType> {
  return parseServiceTypes(readFileSync(fileName, 'utf8'), fileName);
}

export function parseServiceTypes(text: string, fileName: string): Map<string, ServiceType> {
  let raw: unknown;
  try {
    raw = parse(text);
  } catch (error) {
    throw new ConfigError([`${fileName} is not YAML: ${messageOf(error)}`]);
  }
  const parsed = file.safeParse(raw);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => {
      const reasons = issue.code === 'invalid_key' ? issue.issues.map(({ message }) => message) : [issue.message];
      return `${fileName}: ${issue.path.join('.') || 'the file'}: ${reasons.join(', ')}`;
    });
    throw new ConfigError(faults);
  }
  return new Map(Object.entries(parsed.data.serviceTypes).map(([name, given]) => [name, toServiceType(name, given)]));
}

function toServiceType(name: string, given: z.output<typeof serviceType>): ServiceType {
  const { resources, command, ...same } = given;
  return {
    ...same,
    name,
    command: command ?? null,
    cpuMillis: Math.round(resources.cpu * 1000),
    memoryBytes: resources.memory,
    pids: resources.pids,
  };
}
