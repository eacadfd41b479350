import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Section } from '../performance';
import { runProcess, runSuite, type Run } from '../suite';

const target = { measure: 'x', measured: 1, must: 2, aim: 1 };
const BOTH = ['one', 'two'].map((name) => ({ name, title: name, about: name }));

beforeEach(() => {
  jest.spyOn(console, 'log').mockImplementation();
  jest.spyOn(process.stdout, 'write').mockReturnValue(true);
});
afterEach(() => jest.restoreAllMocks());

async function suiteOf(...runs: Run[]) {
  const sections: Section[] = [];
  const result = await runSuite(
    BOTH,
    'npm run bench',
    async () => runs.shift()!,
    (section) => void sections.push(section),
  );
  return { result, sections };
}

const good: Run = { printed: 'fine', answer: { targets: [target], versions: [['PostgreSQL', '18.1']] } };

describe('a suite', () => {
  it('is met when every must is, and each section says where, by which command and on what it was taken', async () => {
    const { result, sections } = await suiteOf(good, good);
    expect(result).toBe('met');
    expect(sections.map(({ outcome }) => outcome)).toEqual([{ targets: [target] }, { targets: [target] }]);
    const facts = Object.fromEntries(sections[0]!.facts);
    expect(facts).toMatchObject({ command: '`npm run bench`', PostgreSQL: '18.1', node: process.versions.node });
    expect(Object.keys(facts)).toEqual(expect.arrayContaining(['taken', 'machine', 'load']));
  });

  it('is missed when one must is', async () => {
    const missed: Run = { printed: '', answer: { targets: [target, { ...target, measured: 3 }], versions: [] } };
    expect((await suiteOf(missed, good)).result).toBe('missed');
  });

  it('has failed when one benchmark has; the next still runs, and nothing is made up for the failed one', async () => {
    const { result, sections } = await suiteOf({ printed: 'round 1', failed: 'it ended with exit code 1' }, good);
    expect(result).toBe('failed');
    expect(sections[0]).toMatchObject({ printed: 'round 1', outcome: { failed: 'it ended with exit code 1' } });
    expect(sections[1]!.outcome).toEqual({ targets: [target] });
  });
});

describe('the process of a benchmark', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  afterAll(() => fs.rmSync(folder, { recursive: true }));
  const run = (script: string): Promise<Run> => {
    const file = path.join(folder, 'bench.js');
    fs.writeFileSync(file, script);
    return runProcess(file, 'quick');
  };

  it('is told the size, and its answer and what it prints are kept', async () => {
    const done = await run(
      `console.log(process.argv[2]); process.send({ targets: [], versions: [] }, () => process.disconnect());`,
    );
    expect(done).toEqual({ printed: 'quick\n', answer: { targets: [], versions: [] } });
  });

  it('that ends with 1 has failed, whatever it answered before', async () => {
    const done = await run(`process.send({ targets: [], versions: [] }, () => process.exit(1));`);
    expect(done).toEqual({ printed: '', failed: 'it ended with exit code 1' });
  });

  it('that ends without an answer has failed', async () => {
    expect(await run(`console.log('round 1')`)).toEqual({ printed: 'round 1\n', failed: 'it ended without an answer' });
  });

  it('that is killed has failed', async () => {
    expect(await run(`process.kill(process.pid, 'SIGKILL')`)).toEqual({ printed: '', failed: 'it ended with SIGKILL' });
  });
});
