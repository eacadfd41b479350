import fs from 'node:fs';

/** Process ids of all that an instance's start tool has started: they carry its folder in their environment. */
export function processesOf(runDir: string): number[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readOrEmpty(`/proc/${pid}/environ`).split('\0').includes(`RM_RUN_DIR=${runDir}`));
}

/** Addresses (`127.0.0.1:8101`) on which these processes listen. */
export function listeningAddresses(pids: number[]): string[] {
  const sockets = new Set(pids.flatMap(socketsOf));
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    readOrEmpty(table)
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[3] === '0A' && sockets.has(columns[9] ?? ''))
      .map((columns) => decode(columns[1] ?? '')),
  );
}

function socketsOf(pid: number): string[] {
  let descriptors: string[];
  try {
    descriptors = fs.readdirSync(`/proc/${pid}/fd`);
  } catch {
    return []; // it has ended meanwhile
  }
  return descriptors.flatMap((descriptor) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1] ?? [];
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** `0100007F:1FA5` as the kernel writes it: each 32 bits of the address in the machine's byte order. */
function decode(text: string): string {
  const [address = '', port = ''] = text.split(':');
  const bytes = address.match(/.{8}/g)?.flatMap((word) => word.match(/../g)?.reverse() ?? []) ?? [];
  const numbers = bytes.map((byte) => parseInt(byte, 16));
  const mapped = numbers.length === 16 && numbers.slice(0, 12).join() === '0,0,0,0,0,0,0,0,0,0,255,255';
  const shown = mapped ? numbers.slice(12) : numbers;
  return `${shown.length === 4 ? shown.join('.') : `[${bytes.join('')}]`}:${parseInt(port, 16)}`;
}

function readOrEmpty(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return ''; // it has ended meanwhile, or is not ours to look into
  }
}
