import type { Audit, PlaceSeen } from './audit';
import { FAULTS } from './findings';

/** What a machine reads: all that people are shown, and nothing else. */
export function reportOf({ findings, ledger, days, chain, file }: Audit): object {
  return {
    result: ['clean', 'faults', 'unchecked'][findings.exitCode],
    faults: findings.faults,
    untold: findings.untold(),
    unchecked: findings.unchecked,
    notes: findings.notes,
    ledger: { batches: ledger.batches, records: ledger.records, waiting: ledger.waiting },
    chain,
    file,
    days: days.list(),
    unitSeconds: days.unitSeconds(),
  };
}

const COLUMNS = ['uses', 'records', 'corrections', 'quarantined', 'dead', 'pending'] as const;
const WRONG = ['lost', 'invented', 'twice', 'differing'] as const;

/** The lines that people are shown: faults, then tables, then the sum of it. */
export function linesOf(audit: Audit, configured: { chain: boolean; file: boolean }): string[] {
  const { findings, ledger, days, chain, file } = audit;
  const total = days.total();
  return [
    ...findings.faults.map(({ code, text }) => `${code}: ${text}`),
    ...findings.untold().map(({ code, count }) => `${code}: ${count} more (${FAULTS[code]})`),
    ...findings.notes.map((note) => `note: ${note}`),
    ...findings.unchecked.map(({ part, reason }) => `could not be checked: ${part}: ${reason}`),
    '',
    ...table(
      ['day', ...COLUMNS, ...WRONG],
      [...days.list(), total].map((day) => [day.day, ...[...COLUMNS, ...WRONG].map((name) => String(day[name]))]),
    ),
    '',
    ...table(
      ['day', 'pool', 'unit-seconds of records', 'of history', 'without a record', 'difference'],
      days
        .unitSeconds()
        .map(({ day, pool, records, history, open, difference }) => [day, pool, records, history, open, difference]),
    ),
    '',
    `ledger: ${ledger.batches} batches of ${ledger.records} records, ${ledger.waiting} records wait for a batch`,
    placeLine('chain', chain, configured.chain),
    placeLine('file', file, configured.file),
    sentenceOf(audit),
  ];
}

function placeLine(name: string, seen: PlaceSeen | null, isConfigured: boolean): string {
  if (!isConfigured) return `${name}: none is configured, nothing was compared`;
  if (!seen) return `${name}: could not be checked`;
  return `${name}: ${seen.place}: has ${seen.has} batches, ${seen.late} wait for it`;
}

function sentenceOf({ findings, ledger }: Audit): string {
  const seen = `${ledger.batches} batches, ${ledger.records} records`;
  if (findings.exitCode === 1) return `${findings.total} faults in ${seen}`;
  return findings.exitCode === 2 ? `no fault in ${seen}, but not all could be checked` : `clean: ${seen}`;
}

function table(head: readonly string[], rows: readonly string[][]): string[] {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const texts = head.map((_, column) => column === 0 || head[column] === 'pool');
  return [[...head], ...rows].map((row) =>
    row
      .map((cell, column) => (texts[column] ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
