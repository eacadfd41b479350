import { csvLine, csvOutput, type Pages } from '../csv';

describe('a line', () => {
  test('when fields hold commas, quotes or line breaks, then they are quoted as RFC 4180 has it', () => {
    expect(csvLine(['a', 'b,c', 'say "x"', 'two\r\nlines', null, 7, ''])).toBe(
      'a,"b,c","say ""x""","two\r\nlines",,7,\r\n',
    );
  });

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', '＝1'])(
    'when text begins like a formula (%j), then a spreadsheet shows it as text',
    (text) => {
      expect(csvLine([text]).replace(/^"/, '')[0]).toBe("'");
    },
  );

  test('when a number is negative, then it stays a number', () => {
    expect(csvLine([-1, 'a=b'])).toBe('-1,a=b\r\n');
  });
});

describe('a file', () => {
  /** The numbers below `total`, in pages of 3. */
  function numbers(total: number, options: Partial<Pages<number, number>> = {}) {
    const asked: number[] = [];
    const pages: Pages<number, number> = {
      read: ({ limit, after = -1 }) => {
        asked.push(limit);
        return Promise.resolve(Array.from({ length: total }, (_, n) => n).slice(after + 1, after + 1 + limit));
      },
      keysetOf: (n) => n,
      size: 3,
      most: Infinity,
      ...options,
    };
    return { asked, pages };
  }
  const columns = [['n', (n: number) => n]] as const;
  const going = new AbortController().signal;

  async function written(pages: Pages<number, number>, signal = going): Promise<string[]> {
    const { stream } = await csvOutput({ signal }, 'numbers.csv', columns, pages);
    const pieces: string[] = [];
    for await (const piece of stream!) pieces.push(piece);
    return pieces;
  }

  test.each([
    [0, [3], ['n\r\n']],
    [2, [3], ['n\r\n', '0\r\n1\r\n']],
    [3, [3, 3], ['n\r\n', '0\r\n1\r\n2\r\n']],
    [4, [3, 3], ['n\r\n', '0\r\n1\r\n2\r\n', '3\r\n']],
  ])('when there are %p rows, then each comes once, a page at a time', async (total, limits, pieces) => {
    const { asked, pages } = numbers(total);
    expect(await written(pages)).toEqual(pieces);
    expect(asked).toEqual(limits);
  });

  test('when it begins behind a row and has an end, then it holds what is between', async () => {
    const { asked, pages } = numbers(100, { after: 10, most: 4 });
    expect((await written(pages)).join('')).toBe('n\r\n11\r\n12\r\n13\r\n14\r\n');
    expect(asked).toEqual([3, 1]);
  });

  test('when the client has gone away, then no further page is read', async () => {
    const gone = new AbortController();
    const { asked, pages } = numbers(100);
    const { stream } = await csvOutput({ signal: gone.signal }, 'numbers.csv', columns, pages);
    for await (const piece of stream!) if (piece.startsWith('0')) gone.abort();
    expect(asked).toEqual([3]);
  });

  test('when the first page cannot be read, then there is no answer yet; when a later one, then the stream breaks', async () => {
    const broken = () => Promise.reject(new Error('gone'));
    await expect(
      csvOutput({ signal: going }, 'numbers.csv', columns, numbers(9, { read: broken }).pages),
    ).rejects.toThrow('gone');
    const { pages } = numbers(9);
    const read: typeof pages.read = (page) => (page.after === undefined ? pages.read(page) : broken());
    await expect(written({ ...pages, read })).rejects.toThrow('gone');
  });

  test('when it is answered, then as a download under its name', async () => {
    const { status, headers } = await csvOutput({ signal: going }, 'numbers.csv', columns, numbers(1).pages);
    expect([status, headers]).toEqual([200, { 'Content-Disposition': 'attachment; filename="numbers.csv"' }]);
  });
});
