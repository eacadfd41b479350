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
  /** CPU time in thousandths of a core. */
  cpuMillis: number;
  /** Bytes; swap is never added. */
  memoryBytes: number;
  pids: number;
  /** Seconds between the polite signal and the kill. */
  stopGraceSeconds: number;
  capacity: { pool: string; units: number };
  /** Path and query that a browser opens. */
  iframePath: string;
  readiness: { path: string; timeoutSeconds: number };
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
