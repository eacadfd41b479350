import { createContext, runInContext } from 'node:vm';

/** As much of a browser's page as the verifier's page uses. Text is only ever text: there is no way to set HTML. */
class FakeElement {
  value = '';
  className = '';
  disabled = false;
  files: { text(): Promise<string> }[] = [];
  children: FakeElement[] = [];
  private own = '';
  private readonly listeners = new Map<string, (event: { preventDefault(): void }) => void>();

  constructor(readonly tag: string) {}

  get textContent(): string {
    return this.own + this.children.map((child) => child.textContent).join('');
  }

  set textContent(text: string) {
    this.children = [];
    this.own = text;
  }

  append(...children: FakeElement[]): void {
    this.children.push(...children);
  }

  replaceChildren(...children: FakeElement[]): void {
    this.textContent = '';
    this.append(...children);
  }

  addEventListener(type: string, listener: (event: { preventDefault(): void }) => void): void {
    this.listeners.set(type, listener);
  }

  fire(type: string): void {
    const listener = this.listeners.get(type);
    if (!listener) throw new Error(`nobody listens to ${type} of a ${this.tag}`);
    listener({ preventDefault: () => undefined });
  }
}

/** Runs the page's script with what every browser has, and nothing of Node. */
export function openPage(html: string) {
  const script = /<script>([^]*)<\/script>/.exec(html)?.[1];
  if (script === undefined) throw new Error('the page has no script');
  const ids = [...html.replace(script, '').matchAll(/<(\w+)[^>]*? id="([\w-]+)"/g)];
  const elements = new Map(ids.map(([, tag, id]) => [id!, new FakeElement(tag!)]));
  const document = {
    getElementById: (id: string) => elements.get(id) ?? null,
    createElement: (tag: string) => new FakeElement(tag),
  };
  const inBrowsers = { atob, btoa, fetch, AbortSignal, TextDecoder, TextEncoder, URL };
  runInContext(script, createContext({ document, ...inBrowsers }));
  const element = (id: string): FakeElement => {
    const found = elements.get(id);
    if (!found) throw new Error(`the page has no ${id}`);
    return found;
  };
  const settled = async (): Promise<void> => {
    while (element('check').disabled) await new Promise((resolve) => setImmediate(resolve));
  };

  return {
    element,
    /** @returns the conclusion, and each point's class and words */
    async check(fields: Record<string, string>) {
      for (const id of ['receipt', 'jwks', 'rpc', 'root', 'header', 'receipts']) element(id).value = fields[id] ?? '';
      element('form').fire('submit');
      await settled();
      const result = element('result');
      const list = result.children.find(({ tag }) => tag === 'ul');
      return {
        conclusion: result.children[0]!.textContent,
        points: list?.children.map(({ className }) => className) ?? [],
        text: result.children.map(({ textContent }) => textContent).join('\n'),
      };
    },
  };
}
