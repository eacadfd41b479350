import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { Failure } from './failure';
import { root } from './instance';
import { say, step } from './progress';

/** Absolute paths of the programs that a local instance runs. */
export interface Toolchain {
  dapr: string;
  daprd: string;
  natsServer: string;
}

interface Tool {
  name: string;
  /** what to install when there is no Go either */
  cure: string;
  /** the Go module in tools/ that pins the version, the module it pins and the package to build */
  goModule: string;
  pins: string;
  goPackage: string;
  flags: (version: string) => string[];
  /** where an installed one may be, beside PATH */
  homes: string[];
  /** the least version that is used, of what `--version` says; what says none is not used */
  minimum: [number, number];
  takes: string;
}

const daprHome = path.join(process.env.DAPR_RUNTIME_PATH || os.homedir(), '.dapr', 'bin');
const INSTALL_DAPR = 'install Dapr (https://docs.dapr.io/getting-started/install-dapr-cli/)';

const DAPRD: Tool = {
  name: 'daprd',
  cure: INSTALL_DAPR,
  goModule: 'daprd',
  pins: 'github.com/dapr/dapr',
  goPackage: 'github.com/dapr/dapr/cmd/daprd',
  // without a tag it has no components; without a version flag it calls itself "edge" (see dapr.ts: scheduler)
  flags: () => ['-tags', 'allcomponents', '-ldflags', '-s -w'],
  homes: [daprHome],
  minimum: [1, 17],
  takes: '8 minutes of CPU, once',
};
const DAPR: Tool = {
  name: 'dapr',
  cure: INSTALL_DAPR,
  goModule: 'dapr-cli',
  pins: 'github.com/dapr/cli',
  goPackage: 'github.com/dapr/cli',
  flags: (version) => ['-ldflags', `-s -w -X main.version=${version} -X main.apiVersion=1.0`],
  homes: [daprHome],
  minimum: [1, 16],
  takes: '3 minutes of CPU, once',
};
const NATS: Tool = {
  name: 'nats-server',
  cure: 'install nats-server (https://docs.nats.io/running-a-nats-service/introduction/installation)',
  goModule: 'nats-server',
  pins: 'github.com/nats-io/nats-server/v2',
  goPackage: 'github.com/nats-io/nats-server/v2',
  flags: () => ['-ldflags', '-s -w'],
  homes: [],
  minimum: [2, 10],
  takes: 'half a minute, once',
};

/** Finds the programs (installed, or built before) or builds them into the per-user cache. Failure: no Go and not installed. */
export async function ensureToolchain(needs: { nats: boolean }): Promise<Toolchain> {
  // one after the other: each build uses all cores
  const daprd = await ensureTool(DAPRD);
  const dapr = await ensureTool(DAPR);
  const natsServer = needs.nats ? await ensureTool(NATS) : '';
  return { dapr, daprd, natsServer };
}

async function ensureTool(tool: Tool): Promise<string> {
  const installed = findInstalled(tool);
  if (installed) return installed;
  const version = pinnedVersion(tool);
  const target = path.join(cacheDir(), `${tool.goModule}-${version}`, tool.name);
  if (fs.existsSync(target)) return target;
  await step(
    `${tool.name} ${version}: building it (${tool.takes})`,
    (tell) => build(tool, version, target, tell),
    () => target,
  );
  return target;
}

/** `${XDG_CACHE_HOME:-~/.cache}/resource-manager`: per user, so that all clones share what took minutes to build. */
export function cacheDir(): string {
  return path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'resource-manager');
}

function findInstalled(tool: Tool): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), ...tool.homes];
  for (const folder of folders.filter(Boolean)) {
    const file = path.resolve(folder, tool.name);
    if (!isExecutable(file)) continue;
    const version = spawnSync(file, ['--version'], { encoding: 'utf8', timeout: 10_000 }).stdout ?? '';
    const [, major, minor] = /(\d+)\.(\d+)\.\d+/.exec(version) ?? [];
    const [wantedMajor, wantedMinor] = tool.minimum;
    if (Number(major) === wantedMajor && Number(minor) >= wantedMinor) return file;
    say(`${file}: not used, version "${version.trim().split('\n')[0]}" is below ${tool.minimum.join('.')}`);
  }
  return undefined;
}

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false; // not there, or not for us
  }
}

function pinnedVersion(tool: Tool): string {
  const goMod = fs.readFileSync(path.join(root, 'tools', tool.goModule, 'go.mod'), 'utf8');
  const version = new RegExp(`^require ${tool.pins} v(\\S+)`, 'm').exec(goMod)?.[1];
  if (!version) throw new Error(`tools/${tool.goModule}/go.mod does not require ${tool.pins}`);
  return version;
}

async function build(tool: Tool, version: string, target: string, tell: (howFar: string) => void): Promise<void> {
  if (spawnSync('go', ['version']).status !== 0) {
    throw new Failure(
      `${tool.name} is not installed, and there is no Go to build it with: ${tool.cure}, or Go 1.26 or newer (https://go.dev/dl/).`,
    );
  }
  fs.mkdirSync(path.dirname(target), { recursive: true });
  // renamed at the end: a build that was interrupted, or two at once, never leave half a file under the real name
  const unfinished = `${target}.${process.pid}`;
  const flags = ['-trimpath', ...tool.flags(version)];
  try {
    let modules = 0;
    const packages = await go(tool, ['list', '-deps', ...flags, tool.goPackage], (line) => {
      if (line.startsWith('go: downloading')) tell(`${++modules} modules downloaded`);
    });
    let compiled = 0;
    await go(tool, ['build', '-v', ...flags, '-o', unfinished, tool.goPackage], () => {
      tell(`${++compiled} of ${packages.length} packages`);
    });
  } catch (error) {
    fs.rmSync(unfinished, { force: true });
    if (!(error instanceof GoFailed)) throw error;
    throw new Failure(`${tool.name} ${version} could not be built:\n${error.message.slice(-3000)}\nOr ${tool.cure}.`);
  }
  fs.renameSync(unfinished, target);
}

class GoFailed extends Error {}

/** Runs `go` in the tool's module, and calls `heard` for each line that it says of its work. @returns the lines that it printed */
async function go(tool: Tool, args: string[], heard: (line: string) => void): Promise<string[]> {
  const child = spawn('go', args, {
    cwd: path.join(root, 'tools', tool.goModule),
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed: string[] = [];
  const said: string[] = [];
  readline.createInterface(child.stdout).on('line', (line) => printed.push(line));
  readline.createInterface(child.stderr).on('line', (line) => {
    said.push(line);
    heard(line);
  });
  const abandon = (): boolean => child.kill();
  process.once('exit', abandon);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new GoFailed(said.join('\n'));
    return printed;
  } finally {
    process.off('exit', abandon);
  }
}
