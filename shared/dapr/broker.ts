import { connect } from 'node:net';
import { messageOf } from '../errors';
import type { Logger } from '../logging/logger';
import type { Sidecar } from './sidecar';

/**
 * daprd gives a broker up that is away for two minutes, and never looks for it again (docs/dapr-findings.md): events would
 * wait for a person. So each service asks its sidecar, and has it started anew.
 */
const EVERY_MS = 10_000;
const NATS_PORT = 4222;
const CONNECT_MS = 2_000;

/** The servers that a URL of NATS names, as nats.go reads it. @throws for what is none */
function serversOf(text: string): URL[] {
  return text.split(',').map((part) => {
    const server = part.trim();
    const url = new URL(server.includes('://') ? server : `nats://${server}`);
    if (!['nats:', 'tls:'].includes(url.protocol) || url.hostname === '') throw new Error('no URL of NATS');
    return url;
  });
}

export function isNatsUrl(text: string): boolean {
  try {
    return serversOf(text).length > 0;
  } catch {
    return false;
  }
}

/**
 * Whether a server of NATS is there. It speaks first, over TLS too; that a connection is taken says nothing, for a proxy in
 * between takes it without a server as well.
 */
async function speaks({ hostname, port }: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const host = hostname.replaceAll(/^\[|\]$/g, '');
    const socket = connect({ host, port: Number(port || NATS_PORT), timeout: CONNECT_MS });
    const end = (isThere: boolean) => () => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('data', end(true)).once('timeout', end(false)).once('error', end(false)).once('close', end(false));
  });
}

/**
 * Has the sidecar end, so that whatever runs it starts it again, when one of its pub/sub components has given its broker up
 * and the broker is back. Not before: daprd ends at once when it starts without its broker, and requests, which need
 * nothing of the broker, would be without state.
 */
export async function keepBroker(options: {
  /** Without it nobody knows when the broker is back, and all that can be done is to say so. */
  brokerUrl: string | undefined;
  sidecar: Pick<Sidecar, 'hasLostBroker' | 'end'>;
  logger: Logger;
  stopping: AbortSignal;
  pause?: (ms: number) => Promise<void>;
}): Promise<void> {
  const { brokerUrl, sidecar, logger, stopping } = options;
  const pause = options.pause ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
  const servers = brokerUrl === undefined ? [] : serversOf(brokerUrl);
  let told = false;
  while (!stopping.aborted) {
    // not in step with other replicas, whose sidecars end for the same reason
    await pause(EVERY_MS * (0.5 + Math.random()));
    try {
      const isLost = await sidecar.hasLostBroker();
      if (isLost && (await Promise.all(servers.map(speaks))).includes(true)) {
        logger.warn('the broker is back, and the sidecar has given it up: it is started anew', {
          activity: 'broker',
          result: 'restart',
        });
        await sidecar.end();
      } else if (isLost && !told) {
        const cure =
          brokerUrl === undefined ? 'restart it when the broker is back, or set BROKER_URL' : 'waiting for it';
        logger.error(`the sidecar has given the broker up: ${cure}`, { activity: 'broker', result: 'away' });
      }
      told = isLost;
    } catch (error) {
      // a sidecar that is away has nothing to give up; readiness says that it is away
      logger.debug('the connection to the broker cannot be looked at', {
        activity: 'broker',
        error: messageOf(error),
      });
    }
  }
}
