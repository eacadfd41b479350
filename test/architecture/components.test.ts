import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { eventData, USAGE_ENDED } from '../../shared/contracts/events';
import { eventRoutes } from '../../services/blockchain-forwarder/http/subscriptions';
import { silentLogger } from '../../shared/logging/logger';

/** components/ is one set for every place: no host, no secret, and subscriptions that lead where they say. */

const yaml = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
  scopes: z.array(z.string()).optional(),
  spec: z.looseObject({}),
});

const files = readdirSync('components').filter((name) => name.endsWith('.yaml'));
const texts = new Map(files.map((name) => [name, readFileSync(join('components', name), 'utf8')]));
const documents = files.map((name) => yaml.parse(parseAllDocuments(texts.get(name)!)[0]?.toJS()));
const services = readdirSync('services');

const subscription = z.looseObject({
  pubsubname: z.string(),
  topic: z.string(),
  routes: z.object({ default: z.string() }),
  deadLetterTopic: z.string().optional(),
});
const subscriptions = documents
  .filter(({ kind }) => kind === 'Subscription')
  .map(({ spec }) => subscription.parse(spec));

test.each(files)('%s: one document, for named services that exist, without host or secret', (name) => {
  const parsed = parseAllDocuments(texts.get(name)!);
  expect(parsed).toHaveLength(1);
  const document = yaml.parse(parsed[0]!.toJS());
  expect(document.scopes?.length).toBeGreaterThan(0);
  expect(document.scopes!.filter((scope) => !services.includes(scope))).toEqual([]);
  const withoutComments = texts.get(name)!.replace(/^\s*#.*$/gm, '');
  expect(withoutComments).not.toMatch(/:\/\/|localhost|127\.0\.0\.1|password|\bhost=/);
});

test.each(['README.md', 'docs/calling-through-dapr.md'])('%s names every event, for who wants to subscribe', (page) => {
  const text = readFileSync(page, 'utf8');
  expect(Object.keys(eventData).filter((type) => !text.includes(`\`${type}\``))).toEqual([]);
});

test('every subscription delivers to a route that the forwarder has, and no route waits in vain', () => {
  const routes = eventRoutes({ logger: silentLogger } as never).map(({ path }) => path);
  expect([...new Set(subscriptions.map((each) => each.routes.default))].sort()).toEqual([...routes].sort());
});

test('every consumed topic is an event type or that of the bundles, through a component of its own, with dead letters and inbound retries', () => {
  const consumed = subscriptions.filter(({ deadLetterTopic }) => deadLetterTopic !== undefined);
  expect(consumed.length).toBeGreaterThan(0);
  expect(new Set(consumed.map(({ pubsubname }) => pubsubname)).size).toBe(consumed.length);
  const retried = documents
    .filter(({ kind }) => kind === 'Resiliency')
    .flatMap(({ spec }) => Object.keys((spec['targets'] as { components?: object } | undefined)?.components ?? {}));
  for (const { topic, pubsubname, deadLetterTopic } of consumed) {
    expect([...Object.keys(eventData), USAGE_ENDED]).toContain(topic);
    expect(deadLetterTopic).toBe(`dead.${topic}`);
    expect(documents.some(({ kind, metadata }) => kind === 'Component' && metadata.name === pubsubname)).toBe(true);
    expect(retried).toContain(pubsubname);
  }
});
