import { readFileSync } from 'node:fs';
import { parseHttpFile } from '../e2e/support/http-file';
import { ALL_ROUTES } from './route-tables';

/** docs/requests.http has every operation (test/e2e/requests.test.ts sends them), and the README of its service names it. */

const HOSTS: Record<string, string> = {
  'resource-pool': 'pools',
  allocation: 'allocations',
  'task-runner': 'tasks',
  'blockchain-forwarder': 'usage',
};
const { requests } = parseHttpFile(readFileSync('docs/requests.http', 'utf8'));
const sent = requests.map(({ method, url }) => `${method} ${url.replace(/\?.*/, '')}`);
const isPublic = ({ route: { access } }: (typeof ALL_ROUTES)[number]): boolean =>
  access === 'public' || 'permission' in access;

test.each(ALL_ROUTES.filter(isPublic))('$name is in the collection of requests', ({ service, route }) => {
  const path = route.path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+');
  const form = new RegExp(`^${route.method.toUpperCase()} \\{\\{${HOSTS[service]!}\\}\\}${path}$`);
  const found = sent.some((each) => form.test(each));
  const wanted = `${route.method.toUpperCase()} {{${HOSTS[service]!}}}${route.path}`;
  expect(found ? [] : [`docs/requests.http needs ${wanted}`]).toEqual([]);
});

test.each(ALL_ROUTES.filter(isPublic))('$name is told in the README of its service', ({ service, route }) => {
  const readme = `services/${service}/README.md`;
  const wanted = `${route.method.toUpperCase()} ${route.path}`;
  expect(readFileSync(readme, 'utf8').includes(wanted) ? [] : [`${readme} needs ${wanted}`]).toEqual([]);
});
