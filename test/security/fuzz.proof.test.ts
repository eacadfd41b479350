// Slow: more than 10,000 requests to four running services.
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { bearer, sidecarHeaders } from '../../shared/testing/api';
import { ALL_ROUTES } from '../architecture/route-tables';
import { SHIPPED_ROLES } from '../architecture/shipped-roles';
import { WireClient } from './support/client';
import { Judge, MAY_TAKE_LONG } from './support/judge';
import { startMemorySystem, type MemorySystem } from './support/memory-system';
import { requestsTo, type WireRequest } from './support/requests';
import { KNOWN_ID } from './support/schema-values';

/**
 * Every operation of every service's OpenAPI document, as each role, with requests that fit it, nearly fit it, or are broken.
 * FUZZ_SEED=n tries others, FUZZ_RUNS=n so many of each kind; a failure prints the seed and the smallest request that it found.
 */

jest.setTimeout(300_000);

const USUAL_SEED = 20_261_125;
const SEED = Number(process.env['FUZZ_SEED'] ?? USUAL_SEED);
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 55);

const tally = { cases: 0, served: new Set<string>(), statuses: {} as Record<number, number> };
let system: MemorySystem;
// the documents are the same in every system
const judges = new Map<string, Judge>();

const internal = ({ access }: (typeof ALL_ROUTES)[number]['route']): boolean =>
  typeof access === 'object' && 'callers' in access;

/** The ids in a known path that fit the parameters of a route's path, which may go on behind it. */
function idsIn(known: string, route: string): string[] {
  const start = route.split('/').slice(0, known.split('/').length).join('/');
  const fits = new RegExp(`^${start.replace(/\{\w+\}/g, '([^/]+)')}$`).exec(known);
  return fits ? fits.slice(1) : [];
}

/** Puts ids of what is there where the generator wanted one: all of a path from one thing, where there is such a thing. */
function aim(request: WireRequest, route: string, known: readonly string[]): WireRequest {
  const wanted = route.match(/\{\w+\}/g)?.length ?? 0;
  const whole = known.map((path) => idsIn(path, route)).filter((ids) => ids.length === wanted);
  const pools = known.flatMap((path) => /^\/resource_pools\/([^/]+)$/.exec(path)?.[1] ?? []);
  const last = known.map((path) => path.split('/').at(-1)!);
  const put = (text: string) =>
    text.replace(KNOWN_ID, (_, name: string, n: string) => {
      const fitting = name.includes('pool') && pools.length > 0 ? pools : last;
      return fitting[Number(n) % fitting.length]!;
    });
  const ids = whole[Number(/:(\d+)\}\}/.exec(request.path)?.[1] ?? 0) % whole.length];
  const filled = ids && [...ids];
  const path = filled && wanted > 0 ? request.path.replace(KNOWN_ID, (token) => filled.shift() ?? token) : request.path;
  return { ...request, path: put(path), ...(request.body !== undefined && { body: put(request.body) }) };
}

interface Run {
  row: (typeof ALL_ROUTES)[number];
  headers: Record<string, string>;
  runs: number;
  /** Whether the sender may see what belongs to others. */
  all: boolean;
}

async function fuzz({ row: { service, route, name }, headers, runs, all }: Run): Promise<void> {
  const document = system.documents[service]!;
  const judge = judges.get(service) ?? new Judge(document);
  judges.set(service, judge);
  const client = new WireClient(system.ports[service]!);
  const operation = document.paths[route.path]![route.method]!;
  const requests = requestsTo(route.path, route.method, operation, document.components.schemas ?? {});
  const property = fc.asyncProperty(requests, async (made) => {
    const { known } = system;
    const aimed = aim(made, route.path, known);
    const request = { ...aimed, headers: { ...aimed.headers, ...headers } };
    const answer = await client.send(request, MAY_TAKE_LONG.test(route.path) ? 40 : 10_000);
    tally.cases += 1;
    if (answer) tally.statuses[answer.status] = (tally.statuses[answer.status] ?? 0) + 1;
    const fault = judge.fault(route.path, request, answer, all ? [] : system.markers);
    if (fault !== undefined) throw new Error(`${name}: ${fault}\n${JSON.stringify(request).slice(0, 2_000)}`);
    if (answer && answer.status < 400) {
      tally.served.add(name);
      const { location } = answer.headers;
      if (location !== undefined) known.push(location);
    }
  });
  try {
    await fc.assert(property, { numRuns: runs, seed: SEED, endOnFailure: false });
  } finally {
    client.close();
  }
}

const sub = randomUUID();
const rows = ALL_ROUTES.filter(({ route }) => !internal(route));

describe.each([
  ...['admin', ...Object.keys(SHIPPED_ROLES)].map((role) => ({ role, runs: RUNS })),
  { role: 'nobody', runs: Math.ceil(RUNS / 4) },
])('as $role', ({ role, runs }) => {
  let before: string;
  beforeAll(async () => {
    system = await startMemorySystem(sub);
    before = await system.belongings();
  });
  afterAll(() => system.close());

  const headers: Record<string, string> = role === 'nobody' ? {} : { authorization: bearer(role, sub) };
  // a service reads the usage of all, and a caretaker of pools the allocations of all: neither is anybody's own
  const all = role === 'admin' || role === 'service';
  test.each(rows)('$name', async (row) => {
    await fuzz({ row, headers, runs, all });
  });

  if (role !== 'admin') {
    test('what belongs to another is as it was', async () => {
      expect(await system.belongings()).toBe(before);
    });
  }
});

describe('as a sidecar', () => {
  beforeAll(async () => {
    system = await startMemorySystem(sub);
  });
  afterAll(() => system.close());

  test.each(ALL_ROUTES.filter(({ route }) => internal(route)))('$name', async (row) => {
    const { access } = row.route;
    const [caller] = typeof access === 'object' && 'callers' in access ? access.callers : [];
    await fuzz({ row, headers: sidecarHeaders(caller), runs: RUNS * 4, all: true });
  });
});

test('it was not in vain: ten thousand requests, and every operation has served some of them', () => {
  process.stdout.write(`${tally.cases} requests, seed ${SEED}; answers by status: ${JSON.stringify(tally.statuses)}\n`);
  // with another seed an operation may have bad luck
  const unserved = ALL_ROUTES.map(({ name }) => name).filter((name) => !tally.served.has(name));
  if (SEED === USUAL_SEED) expect(unserved).toEqual([]);
  expect(tally.cases).toBeGreaterThanOrEqual(10_000);
});
