import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { Failure } from './failure';

/** What the tests need of the machine is installed as root on Debian and Ubuntu, and nowhere else. */
export function mayInstall(): boolean {
  if (process.getuid?.() !== 0 || os.platform() !== 'linux' || !fs.existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(fs.readFileSync('/etc/os-release', 'utf8'));
}

/** @throws Failure with what apt-get said */
export function installPackages(...names: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [
    ['update', '-qq'],
    ['install', '-y', '-qq', '--no-install-recommends', ...names],
  ]) {
    const { status, stdout, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    if (status !== 0) {
      throw new Failure(
        `apt-get ${args.join(' ')} failed; install ${names[0]} by hand.\n${stdout}${stderr}`.slice(0, 3000),
      );
    }
  }
}
