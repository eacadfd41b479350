import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { findDocker } from './docker';
import { Failure } from './failure';
import { say, until } from './progress';
import { installPackages, mayInstall } from './system-packages';

/**
 * A Docker Engine for the tests. One that answers is used. Otherwise, on Debian or Ubuntu as root, it is installed (apt,
 * docker.io) and started; anywhere else: Failure, with what to install. Returns what stops the engine that this started.
 */
export async function provideDocker(): Promise<() => Promise<void>> {
  if (await findDocker()) {
    say('Docker: an engine answers');
    return () => Promise.resolve();
  }
  if (process.env.DOCKER_HOST)
    throw new Failure(`DOCKER_HOST is ${process.env.DOCKER_HOST}, but no engine answers there.`);
  if (!mayInstall()) {
    throw new Failure(
      'The e2e tests need a Docker Engine, and none answers: install one (https://docs.docker.com/engine/install/) and start it.',
    );
  }
  if (!has('dockerd')) {
    say('Docker: installing docker.io and iptables (apt-get)');
    installPackages('docker.io', 'iptables');
  }
  return await start();
}

function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

async function start(): Promise<() => Promise<void>> {
  const logPath = path.join(os.tmpdir(), `resource-manager-dockerd-${process.pid}.log`);
  const log = fs.openSync(logPath, 'w');
  // a group of its own: Ctrl-C ends the tests first, which still remove their containers
  const engine = spawn('dockerd', [], { detached: true, stdio: ['ignore', log, log] });
  fs.closeSync(log);
  let ended = false;
  engine.on('error', () => (ended = true));
  engine.on('exit', () => (ended = true));
  const up = await until(async () => ended || (await findDocker()) !== undefined, 60_000, 500);
  if (!up || ended) {
    engine.kill();
    const tail = fs.readFileSync(logPath, 'utf8').split('\n').slice(-15).join('\n');
    throw new Failure(`dockerd does not start here; start a Docker Engine by hand, or set DOCKER_HOST.\n${tail}`);
  }
  say('Docker: started dockerd');
  return async () => {
    engine.kill();
    await until(() => ended, 15_000);
    fs.rmSync(logPath, { force: true });
    say('Docker: stopped dockerd');
  };
}
