import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build, type Plugin } from 'esbuild';

/**
 * Makes what is handed to strangers, in dist/verifier/: the page as one HTML file, and the command as one file that
 * needs Node and nothing else. Both are bundled of the same rules. `npm run build:verifier` runs this.
 */

const SOURCES = path.join('services', 'blockchain-forwarder', 'verifier');

/** In a browser cryptography comes from a library instead of Node. */
const browserPrimitives: Plugin = {
  name: 'browser-primitives',
  setup: (esbuild) => {
    esbuild.onResolve({ filter: /^\.\/primitives$|\/domain\/primitives$/ }, () => ({
      path: path.resolve(SOURCES, 'page', 'primitives.ts'),
    }));
  },
};

/** @returns the page's HTML */
export async function builtPage(): Promise<string> {
  const script = await bundled({
    entryPoints: [path.join(SOURCES, 'page', 'page.ts')],
    platform: 'browser',
    format: 'iife',
    plugins: [browserPrimitives],
  });
  const style = readFileSync(path.join(SOURCES, 'page', 'page.css'), 'utf8');
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    // only to the node that is typed in
    'connect-src http: https:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return readFileSync(path.join(SOURCES, 'page', 'page.html'), 'utf8')
    .replace('POLICY', policy)
    .replace(/<style>[^<]*<\/style>/, () => `<style>${style}</style>`)
    .replace(/<script>[^<]*<\/script>/, () => `<script>${script}</script>`);
}

/** @returns the command's code, CommonJS */
export function builtCommand(): Promise<string> {
  return bundled({ entryPoints: [path.join(SOURCES, 'verify.ts')], platform: 'node', format: 'cjs', target: 'node20' });
}

async function bundled(options: Parameters<typeof build>[0]): Promise<string> {
  const { outputFiles } = await build({
    ...options,
    bundle: true,
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    write: false,
    logLevel: 'warning',
  });
  const [file] = outputFiles ?? [];
  if (!file) throw new Error('nothing was built');
  return file.text;
}

const hashOf = (text: string): string => `sha256-${createHash('sha256').update(text).digest('base64')}`;

export async function buildVerifier(folder: string): Promise<void> {
  const { version, license } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, string>;
  const name = 'verify-receipt';
  const manifest = { name, version, license, bin: { [name]: `${name}.cjs` }, engines: { node: '>=20.19' } };
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, `${name}.html`), await builtPage());
  writeFileSync(path.join(folder, `${name}.cjs`), await builtCommand(), { mode: 0o755 });
  writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

if (require.main === module) void buildVerifier(path.join('dist', 'verifier'));
