import { table, verdict, type Target } from './target';

export type Fact = [name: string, value: string];

/** What one benchmark came to: its table, or the reason why there is none. */
export interface Section {
  title: string;
  about: string;
  facts: Fact[];
  outcome: { targets: Target[] } | { failed: string };
  /** Whatever it printed. */
  printed: string;
}

const ABOVE = `# Performance

\`npm run bench\` writes this file, \`npm run bench -- allocation\` one section of it. Every benchmark runs on a fresh system of its own and
does the bare work in the same run, in turns. Clients, services, sidecars, database and broker share the machine. Figures are of that
machine and that hour, and no promise; what is compared in the same run tells more.

"must" and "aim" were set before the code was written. A must that is missed says what holds it back, as somebody found who profiled it.`;

/** The text of docs/performance.md: the new section in its place, the others as they stand in the old text. */
export function withSection(old: string, section: Section, titles: readonly string[]): string {
  const kept = titles.map((title) => (title === section.title ? sectionText(section) : sectionOf(old, title, titles)));
  return [ABOVE, ...kept.filter((text) => text !== undefined)].join('\n\n') + '\n';
}

function sectionOf(text: string, title: string, titles: readonly string[]): string | undefined {
  const heads = new RegExp(`^## (?=(?:${titles.join('|')})$)`, 'm');
  const found = text
    .split(heads)
    .slice(1)
    .find((part) => part.startsWith(`${title}\n`));
  return found && `## ${found.trim()}`;
}

function sectionText({ title, about, facts, outcome, printed }: Section): string {
  return [
    `## ${title}`,
    about,
    facts.map(([name, value]) => `- ${name}: ${value}`).join('\n'),
    ...('failed' in outcome
      ? [`**failed**: ${outcome.failed}. There are no figures.`]
      : [table(outcome.targets).join('\n'), ...outcome.targets.flatMap(limits)]),
    ...(printed.trim() === '' ? [] : folded(printed)),
  ].join('\n\n');
}

const folded = (printed: string): string[] => [
  `<details>\n<summary>What it printed, every round</summary>`,
  `\`\`\`text\n${printed.trim()}\n\`\`\``,
  '</details>',
];

function limits(target: Target): string[] {
  if (verdict(target) !== 'missed') return [];
  return [`**Missed: ${target.measure}.** ${target.limit ?? 'Nobody has written down yet what holds it back.'}`];
}
