import winston from 'winston';
import { currentContext, traceIdOf } from './context';
import { SeqTransport, type SeqOptions } from './seq-transport';

/**
 * One structured line per happening: JSON to the console and, when configured, to Seq. Levels mean something:
 * `error` = somebody must act now; `warn` = something failed and heals by itself; `info` = who did what; `debug` = for us.
 */
export interface Logger {
  error(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  debug(message: string, fields?: Record<string, unknown>): void;
}

export interface LoggerOptions {
  service: string;
  level: string;
  seq?: SeqOptions | undefined;
  /** Where the console lines go; tests pass their own stream. */
  stream?: NodeJS.WritableStream;
}

/** A field so named never reaches a log, whatever it holds. */
const SECRET_FIELD = /token|secret|password|authorization|private_?key|api_?key|cookie/i;
/**
 * What a secret looks like inside a longer text; the first group, where there is one, stays. A repetition at the start of
 * a pattern would make it quadratic in a text that a client sends.
 */
const SECRET_TEXT = [
  /(bearer\s+)[\w.~+/=-]+/gi,
  /(?<![\w-])eyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g,
  /([?&](?:token|api_key|key)=)[^&\s"']+/gi,
  // the credentials of a URL
  /(\/\/)[^\s/@"']+(?=@)/g,
  // a header or a JSON member, written out
  /((?:authorization|cookie|token|secret|password|api[_-]?key)["']?\s*[:=]\s*["']?(?:(?:basic|bearer)\s+)?)[^\s"',;}&]+/gi,
];

/** Each of these needs one of these: most texts need no closer look. */
const MAY_HOLD_SECRET = /[=:@]|eyJ|bearer/i;

function redactText(text: string): string {
  if (!MAY_HOLD_SECRET.test(text)) return text;
  return SECRET_TEXT.reduce(
    (cleaned, pattern) =>
      cleaned.replace(pattern, (_, kept: unknown) => `${typeof kept === 'string' ? kept : ''}[redacted]`),
    text,
  );
}

export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  // JSON has no such number
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value !== 'object') return value;
  if (depth > 6) return '[too deep]';
  if (value instanceof Error) {
    return redact({ name: value.name, message: value.message, stack: value.stack, cause: value.cause }, depth + 1);
  }
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  if (value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      SECRET_FIELD.test(name) && item !== undefined && item !== null ? '[redacted]' : redact(item, depth + 1),
    ]),
  );
}

const addContext = winston.format((info) => {
  const context = currentContext();
  if (context) {
    info['request_id'] ??= context.requestId;
    info['trace_id'] ??= traceIdOf(context.traceparent);
  }
  return info;
});

// winston carries symbols on `info`; only the named fields are ours to clean
const redactFields = winston.format((info) => {
  for (const name of Object.keys(info)) {
    if (name === 'level') continue;
    info[name] = SECRET_FIELD.test(name) && info[name] != null ? '[redacted]' : redact(info[name]);
  }
  return info;
});

export function createLogger(options: LoggerOptions): Logger & { close(): Promise<void> } {
  const seq = options.seq ? new SeqTransport(options.seq) : undefined;
  const logger = winston.createLogger({
    level: options.level,
    defaultMeta: { service: options.service },
    format: winston.format.combine(addContext(), winston.format.timestamp(), redactFields(), winston.format.json()),
    transports: [
      options.stream ? new winston.transports.Stream({ stream: options.stream }) : new winston.transports.Console(),
      ...(seq ? [seq] : []),
    ],
  });
  return {
    error: (message, fields = {}) => void logger.error(message, fields),
    warn: (message, fields = {}) => void logger.warn(message, fields),
    info: (message, fields = {}) => void logger.info(message, fields),
    debug: (message, fields = {}) => void logger.debug(message, fields),
    close: async () => {
      await seq?.finish();
      logger.close();
    },
  };
}

/** For tests that do not look at the log. */
export const silentLogger: Logger = { error() {}, warn() {}, info() {}, debug() {} };
