// `npm run graph`: draws which folder imports which, as dependency-cruiser sees it, into docs/architecture.md, between two
// marks. With --check it only says whether the picture there is that of today.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const PAGE = 'docs/architecture.md';
const [BEGIN, END] = ['<!-- npm run graph -->', '<!-- end of the graph -->'];

/** Rooms of services are drawn as one each, and so are those of shared/; edges between the two are left out. */
function draw(root) {
  const rooms = '^(services/[^/]+/(adapters|application|domain|http|ports|verifier)|shared/[^/]+)';
  const { stdout, status } = spawnSync(
    process.execPath,
    [
      'node_modules/dependency-cruiser/bin/dependency-cruise.mjs',
      ...['--config', '.dependency-cruiser.cjs', '--output-type', 'mermaid', '--collapse', rooms],
      ...['--include-only', `^${root}/`, '--exclude', '/(test|testing)/|^services/[^/]+/contracts/', root],
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (status !== 0) process.exit(1);
  const lines = stdout.trim().split('\n');
  const isEdge = (line) => line.includes('-->');
  // else the order of two imports would be another picture
  const sorted = [...lines.filter((line) => !isEdge(line)), ...lines.filter(isEdge).sort()];
  return ['```mermaid', ...sorted, '```'].join('\n');
}

const page = readFileSync(PAGE, 'utf8');
const [before, after] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
const drawn = `${page.slice(0, before)}\n\n${draw('services')}\n\n${draw('shared')}\n\n${page.slice(after)}`;
if (!process.argv.includes('--check')) writeFileSync(PAGE, drawn);
else if (drawn !== page) {
  console.error(`${PAGE} shows another graph than there is: npm run graph`);
  process.exit(1);
}
