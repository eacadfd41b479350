import { spawn } from 'node:child_process';
import http from 'node:http';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/**
 * HTTP connections to a Docker Engine that are `ssh HOST docker system dial-stdio`, as the docker command line makes them:
 * keys, agent, known hosts, jump hosts and multiplexing are what the user's `ssh` has them to be. A connection costs a
 * login, so it is kept for the next requests.
 */
export class SshAgent extends http.Agent {
  private readonly args: string[];

  /**
   * @param url `ssh://[user@]host[:port][/path of the engine's socket]`; the path goes through a shell over there
   * @param program the `ssh` that is run
   */
  constructor(
    { username, port, hostname, pathname }: URL,
    private readonly program: string,
  ) {
    super({ keepAlive: true, maxFreeSockets: 4 });
    const engine = pathname === '' || pathname === '/' ? [] : ['--host', `unix://${pathname}`];
    this.args = [
      ...['-o', 'ConnectTimeout=30', '-o', 'BatchMode=yes', '-T'],
      ...(username === '' ? [] : ['-l', decodeURIComponent(username)]),
      ...(port === '' ? [] : ['-p', port]),
      ...['--', hostname, 'docker', ...engine, 'system', 'dial-stdio'],
    ];
  }

  override createConnection(): Duplex {
    return new SshConnection(this.program, this.args);
  }
}

/** What ssh says is for the log, when it fails; there may be a banner of any length. */
const LAST_WORDS = 2_000;

/** The standard streams of a child process, as the socket that an http.Agent wants. */
class SshConnection extends Duplex {
  private readonly child;
  private words = '';

  constructor(program: string, args: string[]) {
    super();
    this.child = spawn(program, args, { stdio: 'pipe' });
    const { stdin, stdout, stderr } = this.child;
    stdout.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) stdout.pause();
    });
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.words = (this.words + text).slice(-LAST_WORDS);
    });
    // a broken pipe: the child has ended, and its end tells why
    stdin.on('error', () => undefined);
    this.child.on('error', (error) => this.destroy(error));
    this.child.on('close', (code) => {
      if (code === 0) this.push(null);
      else this.destroy(new Error(`ssh ended with ${code ?? 'a signal'}: ${this.words.trim()}`));
    });
  }

  override _read(): void {
    this.child.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.child.stdin.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    this.child.stdin.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.child.kill();
    done(error);
  }

  /** An http.Agent asks these of a connection that it keeps. An idle one does not keep the process alive. */
  setKeepAlive(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): void {
    this.hold('ref');
  }

  unref(): void {
    this.hold('unref');
  }

  private hold(how: 'ref' | 'unref'): void {
    this.child[how]();
    for (const stream of this.child.stdio) if (stream instanceof Socket) stream[how]();
  }
}
