import fs from 'node:fs';
import { Failure } from './failure';
import { say } from './progress';
import { installPackages, mayInstall } from './system-packages';

const PLACES = ['/usr/sbin/sshd', '/usr/local/sbin/sshd', '/usr/bin/sshd'];

/** The OpenSSH server's program. @throws Failure when there is none */
export function openSshServer(): string {
  const found = PLACES.find((place) => fs.existsSync(place));
  if (!found) throw new Failure('The e2e tests need an OpenSSH server (sshd), and none is installed: install it.');
  return found;
}

/** For the tests of an engine behind SSH: installs the OpenSSH server where that is possible, and starts nothing. */
export function provideSshServer(): void {
  if (!PLACES.some((place) => fs.existsSync(place)) && mayInstall()) {
    say('SSH: installing openssh-server (apt-get)');
    installPackages('openssh-server', 'openssh-client', 'openssl');
  }
  openSshServer();
}
