import { CommunicationProtocolEnum, DaprClient, type HttpMethod, LogLevel } from '@dapr/dapr';
import type { CloudEvent } from '../contracts/events';
import { AppError, messageOf, unavailable } from '../errors';
import { currentContext } from '../logging/context';
import { sidecarHttp } from './sidecar-http';
import { classify, ConflictError, isForGood, SidecarError } from './sidecar-error';

/** A row as it was read; `etag` is what a later write must find unchanged. */
export interface StateRow {
  value: unknown;
  etag: string;
}

/** One step of a state transaction. */
export type StateOperation =
  /** `etag: null` = the key must not exist; a string = it must still have that ETag; absent = overwrite whatever is there. */
  { upsert: string; value: unknown; etag?: string | null; ttlSeconds?: number } | { remove: string; etag?: string };

export interface Sidecar {
  /**
   * Rows by key; absent keys are absent from the map, and are so for certain: Dapr answers a read that broke off as if
   * nothing were there.
   */
  get(keys: readonly string[]): Promise<Map<string, StateRow>>;
  /**
   * All or nothing. After a time-out the outcome is unknown: read again before trying again.
   * @throws ConflictError when an ETag no longer fits or a key exists that must not
   */
  transact(operations: readonly StateOperation[]): Promise<void>;
  /**
   * Reads through the PostgreSQL binding. The statement must select exactly one `json`/`jsonb` column, cast to text, and
   * end without a semicolon. All rows or an error, though Dapr hides errors that come while rows are read.
   */
  query(sql: string, params: readonly unknown[]): Promise<unknown[]>;
  /** Runs schema statements, without parameters, as one implicit transaction. */
  execute(sql: string): Promise<void>;
  /** Publishes events of one topic under their own ids. @returns the ids that the broker has taken */
  publish(topic: string, events: readonly CloudEvent[]): Promise<Set<string>>;
  /**
   * Publishes events as one message, a JSON array of them. It has no message id, so the stream keeps each one that comes.
   * @throws AppError when the broker has not taken it, or when that is unknown
   */
  publishBundle(topic: string, events: readonly CloudEvent[]): Promise<void>;
  /**
   * Calls another app through Dapr. An error of that app comes as AppError with its own code, and `facts`.
   * @param path without a leading slash, for example `internal/inventories/<id>`
   */
  invoke(appId: string, method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<unknown>;
  /** A secret with its fields, of a secret store; most stores have one field, of the secret's name. */
  secret(store: string, name: string): Promise<Record<string, string>>;
  /** Resolves when the sidecar and its components are there and the state store answers. */
  check(): Promise<void>;
  /**
   * Whether one of the JetStream components will never again reach its broker by itself. Asked by a publish to a subject that
   * no stream takes, so that nothing is written; a broker that makes its topics by itself is not asked.
   */
  hasLostBroker(): Promise<boolean>;
  /** Asks the sidecar to end; whatever runs it starts it again. */
  end(): Promise<void>;
  close(): Promise<void>;
}

export interface SidecarOptions {
  port: number;
  host?: string;
  apiToken?: string | undefined;
  /** Milliseconds for one call. The SDK has no time-out of its own. */
  timeoutMs?: number;
  stateStore?: string;
  database?: string;
  pubsub?: string;
}

/** A row that is always there: a read that does not find it has broken off (BulkGet of state.postgresql hides the error). */
const PROOF = 'proof-of-reading';
/** A subject that no stream takes. */
const PROBE = 'connection-probe';

const silent = { error() {}, warn() {}, info() {}, verbose() {}, debug() {} };

/**
 * The own sidecar with typed errors and time limits: what is called for every request over plain kept connections, the
 * rest through the Dapr SDK's HTTP client. What Dapr hides: docs/dapr-findings.md
 */
export function connectSidecar(options: SidecarOptions): Sidecar {
  const timeoutMs = options.timeoutMs ?? 10_000;
  const store = options.stateStore ?? 'statestore';
  const database = options.database ?? 'database';
  const host = options.host ?? '127.0.0.1';
  const base = `http://${host}:${options.port}`;
  const client = new DaprClient({
    daprHost: host,
    daprPort: String(options.port),
    communicationProtocol: CommunicationProtocolEnum.HTTP,
    ...(options.apiToken === undefined ? {} : { daprApiToken: options.apiToken }),
    maxBodySizeMb: 32,
    // the SDK prints what it also returns or throws, headers with tokens included
    logger: { level: LogLevel.Error, service: silent },
  });
  const http = sidecarHttp({ host, port: options.port, apiToken: options.apiToken, timeoutMs });

  async function call<T>(part: string, work: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new SidecarError(part, undefined, `no answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
    });
    try {
      return await Promise.race([work(), late]);
    } catch (error) {
      throw classify(part, error);
    } finally {
      clearTimeout(timer);
    }
  }

  async function readRows(keys: readonly string[]): Promise<Map<string, StateRow>> {
    const rows = (await call('state store', () =>
      http.json('state store', `/v1.0/state/${store}/bulk`, { keys: [...new Set(keys)], parallelism: 10 }),
    )) as {
      key: string;
      data?: unknown;
      etag?: string;
      error?: string;
    }[];
    const found = new Map<string, StateRow>();
    for (const row of rows) {
      if (row.error)
        throw unavailable('state.unavailable', 'The state store cannot be read now; try again.', row.error);
      if (row.etag !== undefined && row.data !== undefined) found.set(row.key, { value: row.data, etag: row.etag });
    }
    return found;
  }

  const get: Sidecar['get'] = async (keys) => {
    if (keys.length === 0) return new Map();
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const found = await readRows([...keys, PROOF]);
      const complete = found.delete(PROOF);
      if (complete || keys.every((key) => found.has(key))) return found;
      // never written so far, or not read: writing it tells, for a write does report its errors
      await transact([{ upsert: PROOF, value: {} }]);
    }
    throw unavailable('state.unavailable', 'The state store cannot be read now; try again.');
  };

  const transact: Sidecar['transact'] = async (operations) => {
    // one order of keys everywhere, so that two transactions cannot wait for each other
    const sorted = [...operations].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    await call('state store', () =>
      http.json('state store', `/v1.0/state/${store}/transaction`, { operations: sorted.map(wireOperation) }),
    );
  };

  return {
    get,
    transact,
    query: (sql, params) =>
      call('database', async () => {
        // one row that holds all: where it is not there, an error was hidden
        const whole = `SELECT '[' || coalesce(string_agg(found.value, ','), '') || ']' FROM (${sql}) AS found(value)`;
        const metadata = { sql: whole, params: JSON.stringify(params) };
        const rows = await http.json('database', `/v1.0/bindings/${database}`, { operation: 'query', metadata });
        const text = Array.isArray(rows) ? (rows as unknown[][])[0]?.[0] : undefined;
        if (typeof text !== 'string') throw new SidecarError('database', undefined, 'the rows could not be read');
        return JSON.parse(text) as unknown[];
      }),
    execute: async (sql) => {
      await call('database', () => client.binding.send(database, 'exec', undefined, { sql }));
    },
    publish: (topic, events) =>
      call('event broker', async () => {
        // not by the SDK: its publishBulk takes the ids of a partial failure from the wrong place. Raw and as text, so that
        // daprd neither takes an event apart nor puts a trace of its own into it
        const { status, text } = await http.post(
          `/v1.0-alpha1/publish/bulk/${options.pubsub ?? 'pubsub'}/${topic}?metadata.rawPayload=true`,
          events.map((event) => ({ entryId: event.id, event: JSON.stringify(event), contentType: 'text/plain' })),
        );
        const published = new Set(events.map((event) => event.id));
        if (status >= 200 && status < 300) return published;
        const failed = failedEntries(text);
        if (failed === undefined || failed.length === 0) throw new SidecarError('event broker', status, text);
        for (const id of failed) published.delete(id);
        return published;
      }),
    publishBundle: async (topic, events) => {
      const path = `/v1.0/publish/${options.pubsub ?? 'pubsub'}/${topic}?metadata.rawPayload=true`;
      await call('event broker', () => http.json('event broker', path, events));
    },
    invoke: (appId, method, path, body) =>
      call(appId, async () => {
        const context = currentContext();
        const headers = context ? { traceparent: context.traceparent, 'x-request-id': context.requestId } : {};
        return await client.invoker.invoke(appId, path, method as HttpMethod, body as object, { headers });
      }),
    secret: (store, name) =>
      call('secret store', async () => (await client.secret.get(store, name)) as Record<string, string>),
    check: async () => {
      const health = await fetch(`${base}/v1.0/healthz/outbound`, { signal: AbortSignal.timeout(2_000) }).catch(
        () => undefined,
      );
      if (!health?.ok)
        throw unavailable('sidecar.unavailable', 'the Dapr sidecar or one of its components is not ready');
      await get(['readiness']).catch((error: unknown) => {
        throw error instanceof AppError ? error : unavailable('state.unavailable', messageOf(error));
      });
    },
    hasLostBroker: async () => {
      const { components } = await call('sidecar', () => client.metadata.get());
      const names = components.filter(({ type }) => type === 'pubsub.jetstream').map(({ name }) => name);
      // an object with an id: without one the component logs a warning each time
      const path = (name: string) => `/v1.0/publish/${name}/${PROBE}?metadata.rawPayload=true`;
      const answers = await Promise.all(names.map((name) => http.post(path(name), { id: PROBE })));
      return answers.some(({ text }) => isForGood(text));
    },
    end: async () => {
      await http.json('sidecar', '/v1.0/shutdown', {});
    },
    close: async () => {
      http.close();
      await client.stop();
    },
  };
}

/** The row that an operation writes or removes. */
export function keyOf(operation: StateOperation): string {
  return 'upsert' in operation ? operation.upsert : operation.remove;
}

/** What goes over the wire. ETags are plain strings: the SDK's own type wants an object, which Dapr answers with 400. */
interface WireOperation {
  operation: 'upsert' | 'delete';
  request: {
    key: string;
    value?: unknown;
    etag?: string;
    options?: { concurrency: 'first-write' };
    metadata?: { ttlInSeconds: string };
  };
}

function wireOperation(operation: StateOperation): WireOperation {
  if ('remove' in operation) {
    return { operation: 'delete', request: { key: operation.remove, ...firstWrite(operation.etag) } };
  }
  const { upsert: key, value, etag, ttlSeconds } = operation;
  const metadata = ttlSeconds === undefined ? {} : { metadata: { ttlInSeconds: String(ttlSeconds) } };
  return { operation: 'upsert', request: { key, value, ...firstWrite(etag), ...metadata } };
}

/** First-write without an ETag inserts only what is absent; with one it changes only what is unchanged. */
function firstWrite(etag: string | null | undefined): Pick<WireOperation['request'], 'etag' | 'options'> {
  if (etag === undefined) return {};
  return { ...(etag === null ? {} : { etag }), options: { concurrency: 'first-write' } };
}

function failedEntries(text: string): string[] | undefined {
  try {
    const answer = JSON.parse(text) as { failedEntries?: { entryId: string }[] };
    return answer.failedEntries?.map(({ entryId }) => entryId);
  } catch {
    return undefined;
  }
}

export { ConflictError };
