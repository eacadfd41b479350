/** What can be started, and with which limits. Comes from the service types file (adapters/service-types-file.ts). */
export interface ServiceType {
  name: string;
  description: string;
  image: string;
  /** Port that the program listens on inside the container. */
  containerPort: number;
  /** Null: what the image says. */
  command: readonly string[] | null;
  env: Readonly<Record<string, string>>;
  fence: Fence;
  /** How many tasks of this type there may be, in all and of one user. */
  limits: TaskLimits;
  /** Seconds between the polite signal and the kill. */
  stopGraceSeconds: number;
  capacity: { pool: string; units: number };
  /** Path and query that a browser opens. */
  iframePath: string;
  readiness: { path: string; timeoutSeconds: number };
  lifetime: Lifetime;
}

/** How long its tasks may stay. All in seconds. */
export interface Lifetime {
  /** Without activity; null: for ever. */
  idleTimeout: number | null;
  /** Since the task began to run; null: for ever. */
  maxAge: number | null;
  /** So long before its end its owner is warned; 0: not at all. */
  warnBefore: number;
  /** By so much an end can be put off, all extensions of a task together. */
  maxExtension: number;
  /** More than this, on average between two samples, is activity: cores, and bytes a second in and out together. */
  activity: { cpuCores: number; networkRate: number };
}

/** Seconds between two samples of a task: often enough for the shortest of its times, rarely enough to cost little. */
export function samplingSeconds({ idleTimeout, maxAge, warnBefore }: Lifetime): number {
  const shortest = Math.min(300, idleTimeout ?? 300, maxAge ?? 300, ...(warnBefore > 0 ? [warnBefore * 5] : []));
  return Math.max(1, shortest / 10);
}

/** What a container may use of its host, and reach. */
export interface Fence {
  /** CPU time in thousandths of a core. */
  cpuMillis: number;
  /** Bytes; swap is never added. What it writes to `tmpfs` counts too. */
  memoryBytes: number;
  pids: number;
  /** Open files of one process. */
  openFiles: number;
  /** Bytes that it may write outside of volumes and tmpfs; holds only where the storage driver has quotas. */
  diskBytes: number;
  /** Bytes of its log that are kept. */
  logBytes: number;
  gpus: number | 'all';
  /** The image cannot be written to: only tmpfs and volumes can. */
  readOnly: boolean;
  /** Bytes by path. */
  tmpfs: Readonly<Record<string, number>>;
  /** `uid:gid`; null: who the image says. */
  user: string | null;
  /** Places that are kept for the next task of the same user and type. */
  volumes: readonly { name: string; path: string }[];
  network: Network;
}

/** `none`: no connection leaves the container; its port is served all the same. `internet`: whatever the host can reach. */
export const NETWORKS = ['none', 'internet'] as const;
export type Network = (typeof NETWORKS)[number];

/** How many tasks that have not ended there may be at a time. */
export interface TaskLimits {
  tasks: number;
  tasksPerUser: number;
}

/** What `{…}` in command, environment and paths may stand for. */
export const PLACEHOLDERS = ['taskId', 'userId', 'token', 'frameAncestors'] as const;
export type Placeholder = (typeof PLACEHOLDERS)[number];

const PLACE = /\{([A-Za-z]+)\}/g;

/** Placeholders in `template` that mean nothing, so that a typing error is found at start. JSON's braces are none. */
export function unknownPlaceholders(template: string): string[] {
  return [...template.matchAll(PLACE)].map((match) => match[1] ?? '').filter((name) => !isPlaceholder(name));
}

export function fillIn(template: string, values: Record<Placeholder, string>): string {
  return template.replace(PLACE, (text, name: string) => (isPlaceholder(name) ? values[name] : text));
}

function isPlaceholder(name: string): name is Placeholder {
  return PLACEHOLDERS.some((known) => known === name);
}
