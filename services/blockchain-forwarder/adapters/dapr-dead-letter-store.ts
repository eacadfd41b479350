import type { Sidecar, StateOperation } from '../../../shared/dapr/sidecar';
import { arrived, type DeadLetter } from '../domain/dead-letter';
import { letterContended } from '../domain/errors';
import type { DeadLetterFilter, DeadLetterStore } from '../ports/dead-letter-store';
import type { Versioned } from '../ports/ledger-store';
import type { Page } from '../ports/usage-store';
import { transacted } from './transacted';
import { DEAD_LETTER, deadLetterKey, IS_DEAD_LETTER } from './usage-schema';

const TRIES = 5;

/** Dead letters over the own sidecar. */
export class DaprDeadLetterStore implements DeadLetterStore {
  constructor(private readonly sidecar: Sidecar) {}

  async deadLetter(id: string): Promise<Versioned<DeadLetter> | null> {
    const row = (await this.sidecar.get([deadLetterKey(id)])).get(deadLetterKey(id));
    return row ? { value: row.value as DeadLetter, version: row.etag } : null;
  }

  async listDeadLetters(filter: DeadLetterFilter, { limit, after }: Page): Promise<DeadLetter[]> {
    const { where, params } = conditions(filter, after);
    const sql = `SELECT ${DEAD_LETTER.document}::text FROM state WHERE ${where}
      ORDER BY ${DEAD_LETTER.receivedAt} DESC, ${DEAD_LETTER.id} DESC LIMIT ${limit}`;
    return (await this.sidecar.query(sql, params)) as DeadLetter[];
  }

  async countDeadLetters(filter: DeadLetterFilter, after?: Page['after']): Promise<number> {
    const { where, params } = conditions(filter, after);
    const [count] = await this.sidecar.query(`SELECT to_json(count(*))::text FROM state WHERE ${where}`, params);
    return Number(count);
  }

  async changeDeadLetter(letter: DeadLetter, version: string | null): Promise<boolean> {
    return transacted(this.sidecar, [{ upsert: deadLetterKey(letter.id), value: letter, etag: version }]);
  }
}

/** What writes letters that come, over what is kept of them; each under the version that it was read with. */
export async function arrivals(sidecar: Sidecar, letters: readonly DeadLetter[]): Promise<StateOperation[]> {
  // the same twice in one transaction would stand in its own way
  const unique = [...new Map(letters.map((letter) => [letter.id, letter])).values()];
  const rows = await sidecar.get(unique.map(({ id }) => deadLetterKey(id)));
  return unique.map((letter) => {
    const upsert = deadLetterKey(letter.id);
    const row = rows.get(upsert);
    return { upsert, value: arrived(letter, row?.value as DeadLetter | undefined), etag: row?.etag ?? null };
  });
}

/** @throws AppError `dead_letter.contended`, with nothing written */
export async function keepArrivals(sidecar: Sidecar, letters: readonly DeadLetter[]): Promise<void> {
  if (letters.length === 0) return;
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    if (await transacted(sidecar, await arrivals(sidecar, letters))) return;
  }
  throw letterContended();
}

function conditions(
  { state, reason, eventId, sink }: DeadLetterFilter,
  after: Page['after'],
): { where: string; params: string[] } {
  const params: string[] = [];
  const equals = (column: string, value: string | undefined) =>
    value === undefined ? [] : [`${column} = $${params.push(value)}`];
  const terms = [
    IS_DEAD_LETTER,
    ...equals(DEAD_LETTER.state, state),
    ...equals(DEAD_LETTER.reason, reason),
    ...equals(DEAD_LETTER.eventId, eventId),
    ...equals(DEAD_LETTER.sink, sink),
  ];
  if (after) {
    const [at, id] = [params.push(after.at), params.push(after.id)];
    terms.push(`(${DEAD_LETTER.receivedAt}, ${DEAD_LETTER.id}) < ($${at}, $${id})`);
  }
  return { where: terms.join(' AND '), params };
}
