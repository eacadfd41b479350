import { randomUUID } from 'node:crypto';

/** One request of a .http file as it stands there, with its variables; what it must be answered with stands beside it. */
export interface HttpRequest {
  title: string;
  name: string | undefined;
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string | undefined;
  expect: Expectation;
}

interface Expectation {
  statuses: number[];
  /** A place in the body that must be there, and what it must hold where that is said. */
  place: string | undefined;
  value: string | undefined;
  /** How long it may take until it is so. */
  withinSeconds: number;
}

const EXPECT =
  /^# expect (?<statuses>\d{3}(?: or \d{3})*)(?: with (?<place>\$[\w.[\]]+)(?: = (?<value>[^,]+))?)?,?(?: within (?<within>\d+) s)?$/;

function expectation(title: string, lines: string[]): Expectation {
  const groups = lines.map((line) => EXPECT.exec(line)?.groups).find((found) => found !== undefined);
  if (!groups) throw new Error(`"${title}" has no "# expect"`);
  const { statuses = '', place, value, within = '0' } = groups as Record<string, string | undefined>;
  return { statuses: statuses.split(' or ').map(Number), place, value, withinSeconds: Number(within) };
}

function request(block: string): HttpRequest {
  const [title = '', ...lines] = block.split('\n').map((line) => line.trimEnd());
  const first = lines.findIndex((line) => line !== '' && !line.startsWith('#'));
  const end = lines.indexOf('', first);
  const head = lines.slice(first, end === -1 ? undefined : end);
  const body = end === -1 ? '' : lines.slice(end).join('\n').trim();
  const [method = '', url = ''] = (head[0] ?? '').split(' ', 2);
  const comments = lines.slice(0, first);
  return {
    title: title.trim(),
    name: comments.map((line) => /^# @name (\w+)$/.exec(line)?.[1]).find((found) => found !== undefined),
    method,
    url: (head[0] ?? '').slice(method.length + 1) || url,
    headers: Object.fromEntries(head.slice(1).map((line) => line.split(/: (.*)/s, 2) as [string, string])),
    body: body === '' ? undefined : body,
    expect: expectation(title, comments),
  };
}

export function parseHttpFile(text: string): { variables: Map<string, string>; requests: HttpRequest[] } {
  const [preamble = '', ...blocks] = text.split(/^### /m);
  const variables = new Map([...preamble.matchAll(/^@(\w+) = (.*)$/gm)].map(([, name, value]) => [name!, value!]));
  return { variables, requests: blocks.map(request) };
}

/** What stands at a place such as `$[0].record.id`. */
export function at(body: unknown, place: string): unknown {
  const steps = place.match(/[\w-]+/g) ?? [];
  return steps.reduce<unknown>((value, step) => (value as Record<string, unknown> | undefined)?.[step], body);
}

/** Text with its variables replaced: those of the file, of `.env`, of the answers before, and new UUIDs. */
export function filled(
  text: string,
  known: { variables: Map<string, string>; env: Record<string, string>; answers: Map<string, unknown> },
): string {
  return text.replace(/\{\{(.+?)\}\}/g, (whole, variable: string) => {
    const [, earlier = '', place = ''] = /^(\w+)\.response\.body\.(\$.*)$/.exec(variable) ?? [];
    const value =
      variable === '$guid'
        ? randomUUID()
        : variable.startsWith('$dotenv ')
          ? known.env[variable.slice('$dotenv '.length)]
          : earlier === ''
            ? known.variables.get(variable)
            : at(known.answers.get(earlier), place);
    if (typeof value !== 'string' && typeof value !== 'number') throw new Error(`${whole} stands for nothing`);
    return String(value);
  });
}
