import { readFileSync } from 'node:fs';
import { parseHttpFile } from '../e2e/support/http-file';
import { ALL_ROUTES } from './route-tables';

/** docs/requests.http has every operation; test/e2e/requests.test.ts sends them. */

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
  expect(sent.filter((each) => form.test(each))).not.toEqual([]);
});
