import type { Fact } from './performance';
import type { Answer, Size } from './suite';
import { table, type Target } from './target';

export const say = (line = ''): void => console.log(line);

const versions = new Map<string, string>();
/** Notes on what the figures are taken; the report says so. */
export const ranOn = (part: string, version: string): void => void versions.set(part, version);

/** The process of one benchmark: prints its table and hands it to the suite; ends with 1 when anything fails. */
export function runBench(measure: (size: Size) => Promise<Target[]>): void {
  const main = async (): Promise<Answer> => {
    const targets = await measure(process.argv[2] as Size);
    const unmeasured = targets.find(({ measured }) => !Number.isFinite(measured));
    if (unmeasured) throw new Error(`${unmeasured.measure}: ${unmeasured.measured} is no figure`);
    for (const line of ['', ...table(targets)]) say(line);
    return { targets, versions: [...versions] satisfies Fact[] };
  };
  main().then(
    (answer) => process.send!(answer, () => process.exit(0)),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}
