/** A line of the table of what is to be reached. */
export interface Target {
  measure: string;
  measured: number;
  must: number;
  aim: number;
  /** Whether more is better; less is, otherwise. */
  more?: boolean;
  unit?: string;
  /** The same done by `what`, bare, in the same run. */
  beside?: { what: string; own: number; bare: number; unit: string };
  /** What holds it back, written by who profiled it; told when the must is missed. */
  limit?: string;
}

export type Verdict = 'met, the aim too' | 'met' | 'missed';

export function verdict({ measured, must, aim, more = false }: Target): Verdict {
  const within = (limit: number): boolean => (more ? measured >= limit : measured <= limit);
  return within(aim) ? 'met, the aim too' : within(must) ? 'met' : 'missed';
}

const shown = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(2));

/** Cells, the head first; one column less where nothing is measured beside the bare work. */
function cells(targets: readonly Target[]): string[][] {
  return [
    ['measure', 'must', 'aim', 'measured', 'beside it, in the same run', 'verdict'],
    ...targets.map((target) => {
      const { measure, must, aim, measured, more, beside } = target;
      const unit = target.unit ? ` ${target.unit}` : '';
      const sign = more ? '≥' : '≤';
      const ratio = beside && (beside.own / beside.bare).toFixed(2);
      const compared = beside
        ? `${shown(beside.own)} to ${shown(beside.bare)} ${beside.unit} (${beside.what}): ${ratio}`
        : '';
      return [
        measure,
        `${sign} ${must}${unit}`,
        `${sign} ${aim}${unit}`,
        `${shown(measured)}${unit}`,
        compared,
        verdict(target),
      ];
    }),
  ];
}

/** Lines of a table, for the console as for Markdown. */
export function table(targets: readonly Target[]): string[] {
  const rows = cells(targets);
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: string[]): string => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)];
}
