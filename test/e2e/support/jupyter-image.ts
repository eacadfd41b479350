import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { ensureImage, hashOf, hasImage } from '../../../tools/demo-image';
import { Failure } from '../../../tools/failure';
import { root } from '../../../tools/instance';
import { installPackages, mayInstall } from '../../../tools/system-packages';
import { cacheDir } from '../../../tools/toolchain';
import { eventually } from './system';

export const JUPYTER_IMAGE = 'resource-manager/jupyter-test:1';

const FOLDER = path.join(root, 'test/e2e/images/jupyter');
/** Of Debian or Ubuntu, with all that they need; PyPI's wheels bring the rest but for the C++ library. */
const PACKAGES = ['python3', 'libstdc++6'];
/** What PyPI calls the machines that Node knows. */
const MACHINES: Partial<Record<NodeJS.Architecture, string>> = { x64: 'x86_64', arm64: 'aarch64' };

const run = promisify(execFile);

/**
 * JupyterLab in an image, made of packages of this machine's distribution and of PyPI. That takes a minute or two, once a
 * user: the image is kept beside the programs that `npm start` builds.
 * @throws Failure where they are not to be had
 */
export async function ensureJupyterImage(docker: Docker): Promise<void> {
  const sources = createHash('sha256')
    .update([hashOf(FOLDER), fs.readFileSync(__filename, 'utf8'), distribution(), process.arch].join('\0'))
    .digest('hex')
    .slice(0, 16);
  if (await hasImage(docker, JUPYTER_IMAGE, sources)) return;
  const kept = path.join(cacheDir(), `jupyter-image-${sources}.tar`);
  if (fs.existsSync(kept)) {
    (await docker.loadImage(kept)).resume();
    await eventually('the kept image is loaded', () => hasImage(docker, JUPYTER_IMAGE, sources), 60_000);
    return;
  }
  await ensureImage(docker, { tag: JUPYTER_IMAGE, sources, fill });
  fs.mkdirSync(path.dirname(kept), { recursive: true });
  const unfinished = `${kept}.${process.pid}`;
  await pipeline(await docker.getImage(JUPYTER_IMAGE).get(), fs.createWriteStream(unfinished));
  fs.renameSync(unfinished, kept);
}

async function fill(context: string): Promise<void> {
  await checkPrograms();
  for (const name of ['Dockerfile', 'passwd', 'jupyter_server_config.py', 'start-notebook.py']) {
    fs.copyFileSync(path.join(FOLDER, name), path.join(context, name));
  }
  fs.mkdirSync(path.join(context, 'home/jovyan/work'), { recursive: true });
  const system = path.join(context, 'system');
  await addDebian(system);
  await addPython(system);
}

async function checkPrograms(): Promise<void> {
  const pip = ['python3', '-m', 'pip', '--version'] as const;
  if (!(await works(...pip)) && mayInstall()) installPackages('python3-pip');
  const missing = [
    ...((await works('apt-get', '--version')) ? [] : ['apt-get']),
    ...((await works('dpkg-deb', '--version')) ? [] : ['dpkg-deb']),
    ...((await works(...pip)) ? [] : ['pip (python3-pip)']),
  ];
  if (missing.length === 0) return;
  throw new Failure(
    `The image of the Jupyter test is made of Debian's or Ubuntu's packages and PyPI's; missing here: ${missing.join(', ')}.`,
  );
}

function works(program: string, ...args: string[]): Promise<boolean> {
  return run(program, args).then(
    () => true,
    () => false, // not installed
  );
}

/** Programs and libraries, as they come: nothing is configured, which takes root. apt has folders of its own for it. */
async function addDebian(system: string): Promise<void> {
  const apt = fs.mkdtempSync(path.join(os.tmpdir(), 'resource-manager-apt-'));
  try {
    const folders = ['lists/partial', 'cache/archives/partial'].map((folder) => path.join(apt, folder));
    for (const folder of folders) fs.mkdirSync(folder, { recursive: true });
    // nothing is installed there, so all that the packages need is fetched
    fs.writeFileSync(path.join(apt, 'status'), '');
    const settings = [
      `Dir::State=${apt}`,
      `Dir::State::lists=${apt}/lists`,
      `Dir::State::status=${apt}/status`,
      `Dir::Cache=${apt}/cache`,
      'APT::Sandbox::User=',
      'APT::Install-Recommends=false',
      'Debug::NoLocking=true',
    ].flatMap((setting) => ['-o', setting]);
    await run('apt-get', [...settings, 'update', '-qq']);
    await run('apt-get', [...settings, 'install', '-qq', '--yes', '--download-only', ...PACKAGES]);

    // since /lib and /usr/lib are one, packages put their files into either
    for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
      fs.mkdirSync(path.join(system, 'usr', name), { recursive: true });
      fs.symlinkSync(`usr/${name}`, path.join(system, name));
    }
    const unpack =
      'set -e; for deb in "$1"/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$2"; done';
    await run('sh', ['-c', unpack, 'sh', path.join(apt, 'cache/archives'), system]);
  } finally {
    fs.rmSync(apt, { recursive: true });
  }
  for (const name of ['doc', 'man', 'locale', 'info']) {
    fs.rmSync(path.join(system, 'usr/share', name), { recursive: true, force: true });
  }
  fs.mkdirSync(path.join(system, 'tmp'), { recursive: true });
  fs.chmodSync(path.join(system, 'tmp'), 0o1777);
}

/** The wheels of requirements.txt, for the Python of the image, whatever that of this machine is. */
async function addPython(system: string): Promise<void> {
  const program = fs.readlinkSync(path.join(system, 'usr/bin/python3'));
  const machine = MACHINES[process.arch] ?? process.arch;
  const platforms = ['manylinux2014', 'manylinux_2_17', 'manylinux_2_28', 'manylinux_2_34'];
  const modules = path.join(system, 'usr/local/lib', program, 'dist-packages');
  await run('python3', [
    ...['-m', 'pip', 'install', '--quiet', '--no-deps', '--no-compile', '--only-binary=:all:'],
    ...['--implementation', 'cp', '--python-version', program.replace('python', '')],
    ...platforms.flatMap((platform) => ['--platform', `${platform}_${machine}`]),
    ...['--target', modules, '-r', path.join(FOLDER, 'requirements.txt')],
  ]);
  // what is no module comes beside them with --target
  for (const name of ['share', 'etc']) {
    const to = path.join(system, 'usr/local', name);
    fs.mkdirSync(to, { recursive: true });
    fs.renameSync(path.join(modules, name, 'jupyter'), path.join(to, 'jupyter'));
    fs.rmSync(path.join(modules, name), { recursive: true });
  }
}

function distribution(): string {
  return fs.existsSync('/etc/os-release') ? fs.readFileSync('/etc/os-release', 'utf8') : os.platform();
}
