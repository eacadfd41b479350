import { config } from 'zod';
import type { Check } from '../../domain/check-receipt';
import { judge, NotUnderstood, printable, type Given } from '../judge';

/** The page: hands over what stands in its fields, and shows what judge() says. Everything is shown as text. */

// zod would compile its checks, which the page's own content policy forbids
config({ jitless: true });

/** What is used of a browser; the project has no types for one, since everything else of it runs in Node. */
interface PageElement {
  id: string;
  value: string;
  textContent: string;
  className: string;
  disabled: boolean;
  files: ArrayLike<{ text(): Promise<string> }> | null;
  append(...children: PageElement[]): void;
  replaceChildren(...children: PageElement[]): void;
  addEventListener(type: string, listener: (event: { preventDefault(): void }) => void): void;
}
declare const document: {
  getElementById(id: string): PageElement;
  createElement(tag: string): PageElement;
};

const FIELDS = ['receipt', 'jwks', 'rpc', 'root', 'header', 'receipts'] as const;
const WORDS: Record<Check['result'], string> = {
  holds: 'Holds',
  'does not hold': 'Does not hold',
  'could not be checked': 'Could not be checked',
};
const CONCLUSIONS: Record<number, string> = { 0: 'holds', 1: 'does-not-hold', 2: 'could-not-be-checked' };

const field = (name: string): PageElement => document.getElementById(name);

for (const name of ['receipt', 'jwks', 'header', 'receipts']) {
  field(`${name}-file`).addEventListener('change', () => void fill(name));
}
field('form').addEventListener('submit', (event) => {
  event.preventDefault();
  void check();
});

async function fill(name: string): Promise<void> {
  const file = field(`${name}-file`).files?.[0];
  if (file) field(name).value = await file.text();
}

async function check(): Promise<void> {
  const button = field('check');
  button.disabled = true;
  field('result').replaceChildren(element('p', 'Checking …'));
  try {
    field('result').replaceChildren(...(await said()));
  } finally {
    button.disabled = false;
  }
}

async function said(): Promise<PageElement[]> {
  const values = FIELDS.map((name) => [name, field(name).value.trim()] as const);
  const given = Object.fromEntries(values.map(([name, value]) => [name, value === '' ? null : value]));
  try {
    const { code, conclusion, shown, checks } = await judge({ ...given, receipt: given.receipt ?? '' } as Given);
    const heading = element('h2', conclusion, CONCLUSIONS[code]);
    const list = element('ul', '');
    list.append(...checks.map(item));
    if (!shown) return [heading];
    const record = element('pre', shown.record);
    return [heading, list, element('h3', `It is for record ${shown.sequence} of the ledger`), record];
  } catch (error) {
    if (!(error instanceof NotUnderstood)) throw error;
    return [element('h2', `That was not understood: ${printable(error.message)}`, 'could-not-be-checked')];
  }
}

function item({ what, result, reason }: Check): PageElement {
  const line = element('li', '', result.replaceAll(' ', '-'));
  line.append(element('strong', `${WORDS[result]}: `), element('span', what), element('small', reason));
  return line;
}

function element(tag: string, text: string, className = ''): PageElement {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}
