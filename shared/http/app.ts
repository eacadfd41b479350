import { randomUUID, timingSafeEqual } from 'node:crypto';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import type { z } from 'zod';
import type { Authenticate } from '../authz/authenticator';
import type { Authorizer } from '../authz/authorizer';
import { AppError, invalid, messageOf, type FieldFault } from '../errors';
import { currentContext, withContext } from '../logging/context';
import type { Logger } from '../logging/logger';
import { docsPage } from './docs-page';
import type { Metrics } from '../metrics';
import { negotiate } from './negotiation';
import { openApiDocument } from './openapi';
import { toProblem } from './problem';
import type { RateLimit } from './rate-limit';
import type { Caller, Route } from './route';
import { sendStream } from './stream';

export interface AppOptions {
  service: string;
  routes: readonly Route[];
  authenticate: Authenticate;
  authorizer: Authorizer;
  rateLimit: RateLimit;
  /** The token by which the own sidecar proves itself (Dapr's APP_API_TOKEN). */
  appApiToken: string;
  /** What `/readyz` asks, by name; each rejects with a sentence when its part is not there. */
  checks: Record<string, () => Promise<void>>;
  metrics: Metrics;
  logger: Logger;
}

const DEFAULT_BODY_LIMIT = 64 * 1024;
const JSON_TYPE = /^application\/([\w.-]+\+)?json\s*(;|$)/i;

/** The HTTP server of a service. Every route goes the same way: authenticate, authorise, validate, handle, present. */
export function createApp(options: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by').disable('etag').set('query parser', 'simple');
  app.use(begin(options));
  // first of all: each path that is tried before costs every request
  for (const route of options.routes) {
    app[route.method](route.path.replace(/\{(\w+)\}/g, ':$1'), handlerOf(route, options));
  }
  app.get('/livez', (_request, response) => void response.json({ status: 'ok' }));
  app.get('/readyz', readiness(options.checks));
  app.get('/metrics', async (_request, response) => {
    response.type(options.metrics.registry.contentType).send(await options.metrics.registry.metrics());
  });
  // made when it is first asked for: it takes longer than all the rest of this
  let document: object | undefined;
  app.get('/openapi.json', (_request, response) => {
    response.json((document ??= openApiDocument(options.service, options.routes)));
  });
  app.use('/docs', docsPage(options.service));
  app.use(() => {
    throw new AppError(
      'not_found',
      'route.not_found',
      'There is nothing at this path; /openapi.json lists what there is.',
    );
  });
  app.use(answerError(options));
  return app;
}

/** Gives the request its ids, and leaves one line in the log and one value in the metrics when it is answered. */
function begin({ logger, metrics }: AppOptions): RequestHandler {
  return (request, response, next) => {
    const started = process.hrtime.bigint();
    const given = request.header('x-request-id');
    const requestId = given !== undefined && /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID();
    response.setHeader('X-Request-Id', requestId);
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Cache-Control', 'no-store');
    // an answer is data: should a browser show it as a page all the same, nothing in it runs, and nobody frames it
    response.setHeader('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
    response.setHeader('X-Frame-Options', 'DENY');
    response.setHeader('Referrer-Policy', 'no-referrer');
    withContext({ requestId, traceparent: request.header('traceparent') }, () => {
      const context = currentContext();
      response.on('close', () => {
        const route = response.locals['route'] as Route | undefined;
        const ms = Number(process.hrtime.bigint() - started) / 1e6;
        metrics.requests.observe(
          { method: request.method, route: route?.path ?? 'none', status: String(response.statusCode) },
          ms / 1000,
        );
        if (!route) return;
        logger.info(`${request.method} ${route.path} ${response.writableFinished ? response.statusCode : 'hung up'}`, {
          activity: `${request.method} ${route.path}`,
          who: response.locals['who'] ?? 'unknown',
          resource: request.path,
          // so that the whole story of a thing is found by its id
          created: response.getHeader('location'),
          result: response.locals['code'] ?? 'ok',
          status: response.statusCode,
          ms: Math.round(ms * 10) / 10,
          request_id: requestId,
          trace_id: context?.traceparent.slice(3, 35),
        });
      });
      next();
    });
  };
}

function readiness(checks: AppOptions['checks']): RequestHandler {
  return async (_request, response) => {
    const results = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => {
        try {
          await check();
          return [name, 'ok'] as const;
        } catch (error) {
          return [name, error instanceof AppError ? error.message : 'not available'] as const;
        }
      }),
    );
    const ready = results.every(([, result]) => result === 'ok');
    if (!ready) response.setHeader('Retry-After', '2');
    response
      .status(ready ? 200 : 503)
      .json({ status: ready ? 'ok' : 'unavailable', checks: Object.fromEntries(results) });
  };
}

function handlerOf(route: Route, options: AppOptions): RequestHandler {
  const parseJson = express.json({ limit: route.bodyLimit ?? DEFAULT_BODY_LIMIT, type: () => true, strict: false });
  return async (request, response) => {
    response.locals['route'] = route;
    const caller = await admit(route, request, response, options);
    const mediaType = negotiate(route, request, response);
    const body = route.body ? await readBody(route, request, response, parseJson) : undefined;
    const faults: FieldFault[] = [];
    const params = parse(route.params, request.params, 'params', faults);
    const query = parse(route.query, { ...request.query }, 'query', faults);
    const parsedBody = parse(route.body, body, 'body', faults);
    if (faults.length > 0) throw invalid(faults);
    const hangUp = new AbortController();
    response.on('close', () => {
      // aborted after every answer, it would cost a DOMException with its stack
      if (!response.writableFinished) hangUp.abort();
    });
    const output = await route.handle({
      params,
      query,
      body: parsedBody,
      get caller(): Caller {
        if (!caller) throw new Error(`${route.path} has no permission, so it has no caller`);
        return caller;
      },
      header: (name) => request.header(name),
      signal: hangUp.signal,
      mediaType,
      url: new URL(request.originalUrl, 'http://localhost'),
    });
    response.status(output.status);
    for (const [name, value] of Object.entries(output.headers ?? {})) response.setHeader(name, value);
    if (output.stream) await sendStream(response, mediaType, output.stream);
    else if (output.body === undefined) response.end();
    else response.json(output.body);
  };
}

/** Lets in whom the route's access allows, and says who it is. */
async function admit(
  route: Route,
  request: Request,
  response: Response,
  { authenticate, authorizer, rateLimit, appApiToken }: AppOptions,
): Promise<Caller | undefined> {
  if (route.access === 'public') return undefined;
  if ('callers' in route.access) {
    const callerApp = request.header('dapr-caller-app-id');
    response.locals['who'] = callerApp ?? 'sidecar';
    const token = Buffer.from(request.header('dapr-api-token') ?? '');
    const expected = Buffer.from(appApiToken);
    if (token.length !== expected.length || !timingSafeEqual(token, expected)) {
      throw new AppError(
        'unauthenticated',
        'auth.sidecar_only',
        'Only the sidecar of this service may call this route.',
      );
    }
    // the sidecar adds its token to whatever is invoked through it, so an invocation must also come from a named app
    if (callerApp === undefined ? route.access.callers.length > 0 : !route.access.callers.includes(callerApp)) {
      throw new AppError('forbidden', 'auth.caller_not_allowed', 'This app may not call this route.');
    }
    return undefined;
  }
  const identity = await authenticate(request.header('authorization'));
  response.locals['who'] = identity.sub;
  rateLimit(identity);
  const { permission } = route.access;
  if (!authorizer.allows(identity, request.path.replace(/^\/+|\/+$/g, ''), permission)) {
    throw new AppError(
      'forbidden',
      'auth.forbidden',
      `This needs the permission ${permission}; ask an administrator for it.`,
      {
        facts: { permission },
      },
    );
  }
  return { ...identity, may: (other, object) => authorizer.allows(identity, object, other) };
}

async function readBody(
  route: Route,
  request: Request,
  response: Response,
  parseJson: RequestHandler,
): Promise<unknown> {
  if (!JSON_TYPE.test(request.header('content-type') ?? '')) {
    throw new AppError(
      'unsupported_media_type',
      'request.unsupported_media_type',
      'Send the body as application/json.',
    );
  }
  await new Promise<void>((resolve, reject) => {
    parseJson(request, response, (error?: unknown) =>
      error === undefined ? resolve() : reject(bodyError(error, route)),
    );
  });
  return request.body as unknown;
}

/** body-parser's errors carry a `type` (https://github.com/expressjs/body-parser#errors). */
function bodyError(error: unknown, route: Route): Error {
  const type = (error as { type?: unknown }).type;
  switch (type) {
    case 'entity.too.large':
      return new AppError(
        'too_large',
        'request.too_large',
        `The body may hold ${route.bodyLimit ?? DEFAULT_BODY_LIMIT} bytes at most.`,
      );
    case 'encoding.unsupported':
    case 'charset.unsupported':
      return new AppError(
        'unsupported_media_type',
        'request.unsupported_media_type',
        'Send the body as UTF-8, uncompressed or gzip.',
      );
    default:
      return new AppError('invalid', 'request.malformed_json', 'The body is not well-formed JSON.', { cause: error });
  }
}

function parse(schema: z.ZodType | undefined, value: unknown, part: string, faults: FieldFault[]): unknown {
  if (!schema) return undefined;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const path = [part, ...issue.path.map(String)];
    // an unknown field is reported under its own name, not under its parent's
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys)
        faults.push({ field: [...path, key.slice(0, 100)].join('.'), message: 'is not known here' });
    } else faults.push({ field: path.join('.'), message: issue.message });
  }
  return undefined;
}

function answerError({ logger }: AppOptions): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    if (response.headersSent) {
      // a stream that broke: cutting it off is all that can still be said to the client
      logger.warn(messageOf(error), { error, activity: `${request.method} ${request.path}` });
      return void response.destroy();
    }
    const problem = toProblem(asAppError(error), String(response.getHeader('X-Request-Id')));
    response.locals['code'] = problem.body['code'];
    if (problem.status === 500) {
      logger.error('an error that nobody expected', { error, activity: `${request.method} ${request.path}` });
    } else if (problem.status > 500) {
      logger.warn(messageOf(error), { error, activity: `${request.method} ${request.path}` });
    }
    for (const [name, value] of Object.entries(problem.headers)) response.setHeader(name, value);
    response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem.body));
  };
}

/** Express reports a path that is no valid URL encoding with an error of its own. */
function asAppError(error: unknown): unknown {
  if (error instanceof URIError)
    return new AppError('invalid', 'request.malformed_path', 'The path is not a valid URL path.');
  return error;
}
