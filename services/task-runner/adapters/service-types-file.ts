import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { messageOf } from '../../../shared/errors';
import { ConfigError } from '../../../shared/process/config';
import { NETWORKS, PLACEHOLDERS, unknownPlaceholders, type ServiceType, type TaskLimits } from '../domain/service-type';

const UNITS = { '': 1, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 } as const;

const size = (least: string) =>
  z
    .union([z.int().positive(), z.string().regex(/^\d+(Ki|Mi|Gi)?$/, 'must be bytes, or a number with Ki, Mi or Gi')])
    .transform(bytesOf)
    .refine((bytes) => bytes >= bytesOf(least), `must be at least ${least}`);

function bytesOf(given: string | number): number {
  const [, digits = '', unit = ''] = /^(\d+)(Ki|Mi|Gi|)$/.exec(String(given)) ?? [];
  return Number(digits) * UNITS[unit as keyof typeof UNITS];
}

const template = z.string().superRefine((text, context) => {
  for (const name of unknownPlaceholders(text)) {
    context.addIssue({ code: 'custom', message: `{${name}} stands for nothing; known are ${PLACEHOLDERS.join(', ')}` });
  }
});

const path = template.refine(
  (text) => text.startsWith('/') && !/\s/.test(text),
  'must begin with / and hold no blanks',
);

const count = z.int().min(1).max(1_000_000);
const gpus = z.union([z.int().min(0).max(64), z.literal('all')]);
// Docker refuses less memory
const resources = {
  cpu: z.number().min(0.01, 'must be at least 0.01 cores').max(1024),
  memory: size('6Mi'),
  pids: count,
  openFiles: z.int().min(16).max(1_048_576),
  disk: size('1Mi'),
  logSize: size('64Ki'),
};

/** What no service type may go beyond, and how many tasks there may be: the operator's part of the file. */
const operatorsPart = z.object({
  ceilings: z
    .strictObject({
      cpu: resources.cpu.default(8),
      memory: resources.memory.default(bytesOf('32Gi')),
      pids: resources.pids.default(4096),
      openFiles: resources.openFiles.default(65_536),
      disk: resources.disk.default(bytesOf('100Gi')),
      logSize: resources.logSize.default(bytesOf('100Mi')),
      gpus: gpus.default(0),
      network: z.enum(NETWORKS).default('none'),
    })
    .prefault({}),
  limits: z.strictObject({ tasks: count.default(1000), tasksPerUser: count.default(20) }).prefault({}),
});
type OperatorsPart = z.output<typeof operatorsPart>;

const mountPoint = z
  .string()
  .max(90)
  .regex(/^(\/[\w.-]+)+$/, 'must be a path below /')
  .refine((text) => !/^\/(proc|sys|dev)(\/|$)|\/\.\.?(\/|$)/.test(text), 'must not be in /proc, /sys or /dev');

/** Up to ten years. */
const seconds = (least: number) => z.int().min(least).max(315_360_000);
const lifetime = {
  idleTimeout: seconds(1).optional(),
  maxAge: seconds(1).optional(),
  warnBefore: seconds(0).optional(),
  maxExtension: seconds(0).default(0),
  activity: z
    .strictObject({ cpu: z.number().min(0).max(1024).default(0.05), networkRate: size('1').default(1024) })
    .prefault({}),
};
/** Unless told, a warning comes when a tenth of the time is left, five minutes before the end at most. */
const WARN_BEFORE = { share: 0.1, seconds: 300 };

function fileUnder({ ceilings, limits }: OperatorsPart) {
  const serviceType = z
    .strictObject({
      description: z.string().default(''),
      image: z.string().regex(/^[\w][\w./:@-]*$/, 'must be the name of an image'),
      containerPort: z.int().min(1).max(65535),
      command: z.array(template).min(1).optional(),
      env: z.record(z.string().regex(/^[A-Za-z_]\w*$/, 'must be the name of a variable'), template).default({}),
      resources: z
        .strictObject({
          cpu: within(resources.cpu, ceilings, 'cpu').prefault(1),
          memory: within(resources.memory, ceilings, 'memory').prefault('512Mi'),
          pids: within(resources.pids, ceilings, 'pids').prefault(256),
          openFiles: within(resources.openFiles, ceilings, 'openFiles').prefault(4096),
          disk: within(resources.disk, ceilings, 'disk').prefault('10Gi'),
          logSize: within(resources.logSize, ceilings, 'logSize').prefault('20Mi'),
          gpus: gpus
            .default(0)
            .refine((given) => numberOf(given) <= numberOf(ceilings.gpus), above('gpus', ceilings.gpus)),
        })
        .prefault({}),
      readOnly: z.boolean().default(false),
      tmpfs: z.record(mountPoint, size('4Ki')).default({}),
      user: z
        .string()
        .regex(/^\d{1,10}:\d{1,10}$/, 'must be uid:gid, in numbers')
        .optional(),
      volumes: z
        .array(
          z.strictObject({
            name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/, 'must be lower-case letters, digits and hyphens'),
            path: mountPoint,
          }),
        )
        .max(10)
        .default([])
        .refine((volumes) => isUnique(volumes.map(({ name }) => name)), 'two volumes have the same name'),
      network: z
        .enum(NETWORKS)
        .default('none')
        .refine((given) => given === 'none' || ceilings.network === given, above('network', ceilings.network)),
      limits: z
        .strictObject({
          tasks: within(count, limits, 'tasks', 'limits').prefault(limits.tasks),
          tasksPerUser: within(count, limits, 'tasksPerUser', 'limits').prefault(limits.tasksPerUser),
        })
        .prefault({}),
      stopGraceSeconds: z.int().min(0).max(300).default(5),
      capacity: z.strictObject({ pool: z.string().min(1).max(200), units: z.int().min(1) }),
      iframePath: path.default('/'),
      readiness: z.strictObject({ path, timeoutSeconds: z.int().min(1).max(600) }),
      ...lifetime,
    })
    .refine(({ warnBefore = 0, idleTimeout = Infinity }) => warnBefore < idleTimeout, {
      path: ['warnBefore'],
      message: 'must be less than idleTimeout',
    })
    .refine(({ warnBefore = 0, maxAge = Infinity }) => warnBefore < maxAge, {
      path: ['warnBefore'],
      message: 'must be less than maxAge',
    })
    .refine(({ tmpfs, volumes }) => isUnique([...Object.keys(tmpfs), ...volumes.map((volume) => volume.path)]), {
      path: ['volumes'],
      message: 'two of volumes and tmpfs have the same path',
    })
    .refine(({ tmpfs, resources: { memory } }) => Object.values(tmpfs).reduce((a, b) => a + b, 0) <= memory, {
      path: ['tmpfs'],
      message: 'is larger than the memory, of which it is a part',
    });
  return operatorsPart.safeExtend({ serviceTypes: z.record(typeName, serviceType) }).strict();
}

const typeName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a name is lower-case letters, digits and hyphens');

/** `field` up to the operator's ceiling for it. */
function within<K extends string, S extends z.ZodType<number>>(
  field: S,
  ceilings: Record<K, number>,
  name: K,
  block = 'ceilings',
) {
  return field.refine((given) => given <= ceilings[name], above(name, ceilings[name], block));
}

function above(name: string, ceiling: string | number, block = 'ceilings'): string {
  return `is above the operator's ceiling of ${ceiling} (${block}.${name})`;
}

function numberOf(given: number | 'all'): number {
  return given === 'all' ? Infinity : given;
}

function isUnique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}

/** What can be started, and how many of all of it there may be at a time. */
export interface Catalogue {
  types: Map<string, ServiceType>;
  limits: TaskLimits;
}

/**
 * Reads the service types.
 * @throws ConfigError with one line for every fault of the file
 */
export function readServiceTypes(fileName: string): Catalogue {
  return parseServiceTypes(readFileSync(fileName, 'utf8'), fileName);
}

export function parseServiceTypes(text: string, fileName: string): Catalogue {
  let raw: unknown;
  try {
    raw = parse(text);
  } catch (error) {
    throw new ConfigError([`${fileName} is not YAML: ${messageOf(error)}`]);
  }
  // faulty ceilings are told of below; the types are then held against the usual ones
  const operator = operatorsPart.safeParse(raw).data ?? operatorsPart.parse({});
  const parsed = fileUnder(operator).safeParse(raw);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => {
      const reasons = issue.code === 'invalid_key' ? issue.issues.map(({ message }) => message) : [issue.message];
      return `${fileName}: ${issue.path.join('.') || 'the file'}: ${reasons.join(', ')}`;
    });
    throw new ConfigError(faults);
  }
  const { limits, serviceTypes } = parsed.data;
  return {
    limits,
    types: new Map(Object.entries(serviceTypes).map(([name, given]) => [name, toServiceType(name, given)])),
  };
}

type Given = z.output<ReturnType<typeof fileUnder>>['serviceTypes'][string];

function toServiceType(name: string, given: Given): ServiceType {
  const { resources: asked, command, readOnly, tmpfs, user, volumes, network, ...others } = given;
  const { idleTimeout, maxAge, warnBefore, maxExtension, activity, ...same } = others;
  const shortest = Math.min(idleTimeout ?? maxAge ?? 0, maxAge ?? idleTimeout ?? 0);
  return {
    ...same,
    name,
    command: command ?? null,
    fence: {
      cpuMillis: Math.round(asked.cpu * 1000),
      memoryBytes: asked.memory,
      pids: asked.pids,
      openFiles: asked.openFiles,
      diskBytes: asked.disk,
      logBytes: asked.logSize,
      gpus: asked.gpus,
      readOnly,
      tmpfs,
      user: user ?? null,
      volumes,
      network,
    },
    lifetime: {
      idleTimeout: idleTimeout ?? null,
      maxAge: maxAge ?? null,
      warnBefore: warnBefore ?? Math.min(WARN_BEFORE.seconds, Math.floor(shortest * WARN_BEFORE.share)),
      maxExtension,
      activity: { cpuCores: activity.cpu, networkRate: activity.networkRate },
    },
  };
}
