import type { Input, Output } from './route';

export const CSV = 'text/csv';

type Field = string | number | null;
export type Columns<T> = readonly (readonly [name: string, value: (row: T) => Field])[];

/** What a spreadsheet would take for a formula. */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

/**
 * One line of CSV (RFC 4180); null is an empty field. Text that a spreadsheet would run as a formula gets a `'` in front.
 */
export function csvLine(fields: readonly Field[]): string {
  return `${fields.map(csvField).join(',')}\r\n`;
}

function csvField(field: Field): string {
  if (field === null) return '';
  if (typeof field === 'number') return String(field);
  const harmless = FORMULA.test(field) ? `'${field}` : field;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/** A list that is read by keyset. */
export interface Pages<T, K> {
  read(page: { limit: number; after?: K | undefined }): Promise<T[]>;
  keysetOf(row: T): K;
  /** Rows a page: what is in memory at a time. */
  size: number;
  /** Where the list begins, and how many rows there are at most. */
  after?: K | undefined;
  most: number;
}

/**
 * Answers with a whole list as a CSV file, page by page as fast as the client reads. The first page is read before the
 * answer begins, so that what fails there is an error with its status; a later failure breaks the connection.
 */
export async function csvOutput<T, K>(
  { signal }: Pick<Input<unknown, unknown, unknown>, 'signal'>,
  filename: string,
  columns: Columns<T>,
  pages: Pages<T, K>,
): Promise<Output> {
  const limit = (sent: number) => Math.min(pages.size, pages.most - sent);
  let page = await pages.read({ limit: limit(0), after: pages.after });

  async function* lines(): AsyncGenerator<string> {
    yield csvLine(columns.map(([name]) => name));
    for (let sent = 0; ;) {
      const asked = limit(sent);
      sent += page.length;
      const last = page.at(-1);
      if (last === undefined) return;
      yield page.map((row) => csvLine(columns.map(([, value]) => value(row)))).join('');
      if (page.length < asked || sent === pages.most || signal.aborted) return;
      page = await pages.read({ limit: limit(sent), after: pages.keysetOf(last) });
    }
  }
  return {
    status: 200,
    headers: { 'Content-Disposition': `attachment; filename="${filename}"` },
    stream: lines(),
  };
}
