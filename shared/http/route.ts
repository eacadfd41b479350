import type { z } from 'zod';
import type { Identity } from '../authz/authenticator';

/**
 * One endpoint, declared once: the router, the access check, the validation and the OpenAPI document all read this.
 * `access` has no default, so that a forgotten check does not compile.
 */
type Access =
  /** Anybody, without a token. */
  | 'public'
  /** The own sidecar only, which proves itself by the app API token; `callers` names the app-ids that may invoke it. */
  | { callers: readonly string[] }
  /** A user or service whose token carries this permission on the object that the path names. */
  | { permission: string };

/** Who calls a route that needs a permission. */
export interface Caller extends Identity {
  /** True when the policies allow `permission` on `object` (a path without leading slash) as well. */
  may(permission: string, object: string): boolean;
}

export interface Input<P, Q, B> {
  params: P;
  query: Q;
  body: B;
  /** Throws for a route without a permission: a bug, not a fault of the caller. */
  caller: Caller;
  header: (name: string) => string | undefined;
  /** Aborted when the client hangs up. */
  signal: AbortSignal;
  /** What to answer in: the route's own media type, or one of its `alternatives` where the client prefers that. */
  mediaType: string;
  /** The path with its query as the client sent it, for `Link` headers. */
  url: URL;
}

export interface Output {
  status: number;
  body?: unknown;
  /**
   * Sent piece by piece as it comes, instead of `body`, as fast as the client reads. It must end when the input's `signal`
   * aborts, and when the service stops.
   */
  stream?: AsyncIterable<string>;
  headers?: Record<string, string>;
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

export interface RouteDefinition<
  P extends z.ZodObject | undefined = z.ZodObject | undefined,
  Q extends z.ZodObject | undefined = z.ZodObject | undefined,
  B extends z.ZodType | undefined = z.ZodType | undefined,
> {
  method: 'get' | 'post' | 'put' | 'delete';
  /** In OpenAPI's spelling, for example `/resource_pools/{pool_id}`. */
  path: string;
  summary: string;
  access: Access;
  params?: P;
  query?: Q;
  body?: B;
  /** Request headers that the endpoint honours, for its documentation, for example `If-Match`. */
  headers?: Record<string, string>;
  /** Success statuses and what they carry; `null` for no content. */
  responses: Record<number, z.ZodType | null>;
  /** Media type of what it carries; JSON unless told. */
  mediaType?: string;
  /** Further media types that a client may ask for by `Accept`, and what they carry. Another one than these is 406. */
  alternatives?: Record<string, z.ZodType>;
  /** Codes of the errors of its own, beside those that every route has. */
  errors?: readonly string[];
  /** Largest request body; 64 KiB unless told. */
  bodyLimit?: number;
  handle(input: Input<Parsed<P>, Parsed<Q>, Parsed<B>>): Promise<Output>;
}

/** A route whose schema types are forgotten, so that routes fit into one table. */
export type Route = Omit<RouteDefinition, 'handle'> & {
  handle(input: Input<unknown, unknown, unknown>): Promise<Output>;
};

/** Checks that handler and schemas of one route fit together. */
export function route<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(definition: RouteDefinition<P, Q, B>): Route {
  // sound: the app hands a handler only what the schemas beside it have parsed
  return definition;
}
