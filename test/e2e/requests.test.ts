import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../tools/instance';
import { until } from '../../tools/progress';
import { forE2e } from './support/documents';
import { at, filled, parseHttpFile, type HttpRequest } from './support/http-file';
import { system } from './support/system';

/** docs/requests.http is sent from its first request to its last, as a reader would. */

jest.setTimeout(300_000);

const file = parseHttpFile(forE2e(readFileSync(path.join(root, 'docs/requests.http'), 'utf8')));
const { tokens, daprApiToken } = system();
const known = {
  variables: file.variables,
  env: { ...tokens, dapr: daprApiToken },
  answers: new Map<string, unknown>(),
};

interface Got {
  status: number;
  body: unknown;
}

async function send({ method, url, headers, body }: HttpRequest): Promise<Got> {
  const response = await fetch(filled(url, known), {
    method,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, filled(value, known)])),
    ...(body === undefined ? {} : { body: filled(body, known) }),
    signal: AbortSignal.timeout(60_000),
  });
  const isJson = /^application\/(problem\+)?json\b/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, body: await (isJson ? response.json() : response.text()) };
}

function isExpected({ expect: { statuses, place, value } }: HttpRequest, { status, body }: Got): boolean {
  if (!statuses.includes(status)) return false;
  if (place === undefined) return true;
  const found = at(body, place);
  if (value === undefined) return found !== undefined;
  return (typeof found === 'string' ? found : JSON.stringify(found)) === filled(value, known);
}

test('every request of the collection is answered as it says', async () => {
  expect(file.requests.length).toBeGreaterThan(0);
  for (const request of file.requests) {
    let got: Got | undefined;
    const attempt = async (): Promise<boolean> => isExpected(request, (got = await send(request)));
    const fits = (await attempt()) || (await until(attempt, request.expect.withinSeconds * 1000, 500));
    // each needs those before it, so the first that differs is the one to look at
    expect({ request: request.title, fits, ...(fits ? {} : { expected: request.expect, got }) }).toEqual({
      request: request.title,
      fits: true,
    });
    if (request.name !== undefined) known.answers.set(request.name, got!.body);
  }
});
