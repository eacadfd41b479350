import { machine } from './machine';

/** A line of the table of what is to be reached. */
export interface Target {
  measure: string;
  measured: number;
  must: number;
  aim: number;
  /** Whether more is better; less is, otherwise. */
  more?: boolean;
  unit?: string;
}

function verdict({ measured, must, aim, more = false }: Target): 'aim reached' | 'must reached' | 'MISSED' {
  const within = (limit: number): boolean => (more ? measured >= limit : measured <= limit);
  return within(aim) ? 'aim reached' : within(must) ? 'must reached' : 'MISSED';
}

function table(targets: readonly Target[]): string[] {
  const rows = targets.map((target) => {
    const sign = target.more ? '≥' : '≤';
    const unit = target.unit ? ` ${target.unit}` : '';
    const measured = Number.isInteger(target.measured) ? String(target.measured) : target.measured.toFixed(2);
    return [
      target.measure,
      `${sign} ${target.must}${unit}`,
      `${sign} ${target.aim}${unit}`,
      `${measured}${unit}`,
      verdict(target),
    ];
  });
  const all = [['measure', 'must', 'aim', 'measured', 'verdict'], ['---', '---', '---', '---', '---'], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`);
}

export const say = (line = ''): void => console.log(line);

/** Prints machine, figures and table; the process ends with 1 when a target that must be met is missed, or anything fails. */
export function runBench(
  command: string,
  modes: readonly string[],
  measure: (mode?: string) => Promise<Target[]>,
): void {
  const main = async (): Promise<boolean> => {
    const [mode] = process.argv.slice(2);
    if (mode !== undefined && !modes.includes(mode)) throw new Error(`"${mode}" is none of ${modes.join(', ')}`);
    for (const line of machine(command)) say(line);
    const targets = await measure(mode);
    say();
    for (const line of table(targets)) say(line);
    return targets.every((target) => verdict(target) !== 'MISSED');
  };
  main().then(
    (reached) => process.exit(reached ? 0 : 1),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}
