// npm run bench: figures of this machine, without targets. Allocations and tasks have benches of their own, with targets:
// npm run bench:allocation, npm run bench:tasks.
import { machine } from './machine';
import { withSystem } from './system';
import { benchUsage, openReceiver } from './usage';

const RECEIVER_PORT = 10_790;
const ENV = {
  BLOCKCHAIN_SERVICE_URL: `http://127.0.0.1:${RECEIVER_PORT}/usage`,
  LOG_LEVEL: 'warn',
};
const say = (line: string): void => console.log(line);

async function main(): Promise<void> {
  for (const line of machine('bench')) say(line);
  const receiver = await openReceiver(RECEIVER_PORT);
  try {
    await withSystem(ENV, async (system) => {
      say('\nusage events to the http sink');
      await benchUsage(system, receiver, say);
    });
  } finally {
    receiver.server.closeAllConnections();
    receiver.server.close();
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
