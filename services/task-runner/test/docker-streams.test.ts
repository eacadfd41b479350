import { logLines } from '../adapters/docker-logs';
import { pullError, PullTally } from '../adapters/docker-pull';
import { LONGEST_LINE, type LogLine } from '../ports/container-runtime';

/** What Docker sends in pieces, put together. */

function frame(stream: 1 | 2, text: string): Buffer {
  const content = Buffer.from(`2026-11-23T09:00:00.123456789Z ${text}`);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(content.length, 4);
  return Buffer.concat([header, content]);
}

async function linesOf(chunks: Buffer[]): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for await (const line of logLines(chunks, new AbortController().signal)) lines.push(line);
  return lines;
}

const at = '2026-11-23T09:00:00.123Z';

test('when frames are cut anywhere, also within a letter, then the lines are whole', async () => {
  const all = Buffer.concat([frame(1, 'größer\n'), frame(2, 'oh\r\n'), frame(1, '\n')]);
  for (const size of [1, 7, 33, all.length]) {
    const chunks = Array.from({ length: Math.ceil(all.length / size) }, (_, n) =>
      all.subarray(n * size, (n + 1) * size),
    );
    expect(await linesOf(chunks)).toEqual([
      { stream: 'stdout', at, text: 'größer' },
      { stream: 'stderr', at, text: 'oh' },
      { stream: 'stdout', at, text: '' },
    ]);
  }
});

test('when a line comes in several frames, with the other stream between, then it is one; a very long one is bounded', async () => {
  const lines = await linesOf([frame(1, 'a'), frame(2, 'other\n'), frame(1, 'b\n'), frame(1, 'no end')]);
  expect(lines.map(({ text }) => text)).toEqual(['other', 'ab', 'no end']);
  const long = await linesOf([frame(1, 'x'.repeat(LONGEST_LINE * 2 + 1)), frame(1, 'y\n')]);
  expect(long.map(({ text }) => text.length)).toEqual([LONGEST_LINE, LONGEST_LINE, 1, 1]);
});

test('when layers tell their sizes late, begin anew, and wait, then the share never falls and ends at 100', () => {
  const tally = new PullTally();
  const line = (id: string, status: string, current?: number, total?: number) =>
    tally.take({ id, status, ...(current === undefined ? {} : { progressDetail: { current, total } }) });
  for (const id of ['a', 'b']) expect(line(id, 'Pulling fs layer')).toBeUndefined();
  expect(line('b', 'Waiting')).toBeUndefined();
  // of b's size nothing is known yet: it counts as much as a
  expect(line('a', 'Downloading', 50, 100)).toEqual({ bytes: 50, totalBytes: 100, percent: 25 });
  expect(line('a', 'Downloading', 50, 100)).toBeUndefined();
  expect(line('a', 'Retrying in 2 seconds')).toBeUndefined();
  expect(line('a', 'Downloading', 10, 100)).toBeUndefined();
  expect(line('a', 'Download complete')).toEqual({ bytes: 100, totalBytes: 100, percent: 50 });
  expect(line('b', 'Downloading', 10, 900)).toEqual({ bytes: 110, totalBytes: 1000, percent: 50 });
  expect(line('b', 'Download complete')).toMatchObject({ bytes: 1000, percent: 100 });
  expect(line('b', 'Extracting', 10, 900)).toMatchObject({ percent: 100 });
  expect(tally.take({ status: 'Digest: sha256:0' })).toBeUndefined();
});

test.each([
  ['(HTTP code 404) unexpected - manifest for a/b:1 not found: manifest unknown', 'runtime.image_missing'],
  ['pull access denied for a/b, repository does not exist or may require docker login', 'runtime.image_missing'],
  ['toomanyrequests: You have reached your pull rate limit', 'runtime.pull_failed'],
  [
    'Get "https://registry.example/v2/": dial tcp: lookup registry.example on 10.1.2.3:53: no such host',
    'runtime.pull_failed',
  ],
  ['write /var/lib/docker/tmp/GetImageBlob123: no space left on device', 'runtime.pull_failed'],
])('when Docker says "%s", then %s, and nothing of the host is told', (words, code) => {
  const error = pullError('a/b:1', words);
  expect(error.code).toBe(code);
  expect(error.message).not.toMatch(/10\.1\.2\.3|\/var\/|https:|HTTP code/);
});
