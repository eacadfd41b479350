// npm run bench: figures of this machine, without targets. `npm run bench -- usage` runs one part. The allocation path has a
// bench of its own, with targets: npm run bench:allocation.
import { findDocker, removeContainers } from '../../tools/docker';
import { machine } from './machine';
import { withSystem } from './system';
import { benchTasks } from './tasks';
import { benchUsage, openReceiver } from './usage';

const RECEIVER_PORT = 10_790;
const ENV = {
  BLOCKCHAIN_SERVICE_URL: `http://127.0.0.1:${RECEIVER_PORT}/usage`,
  LOG_LEVEL: 'warn',
};
const PARTS = ['tasks', 'usage'];
const say = (line: string): void => console.log(line);

async function main(): Promise<void> {
  const [chosen] = process.argv.slice(2);
  if (chosen !== undefined && !PARTS.includes(chosen)) throw new Error(`"${chosen}" is none of ${PARTS.join(', ')}`);
  const runs = (part: string): boolean => chosen === undefined || chosen === part;
  for (const line of machine('bench')) say(line);
  const receiver = await openReceiver(RECEIVER_PORT);
  try {
    await withSystem(ENV, async (system, instance) => {
      const docker = await findDocker();
      try {
        if (runs('tasks')) {
          say('\nstart of a task until its page answers (image of the type demo), one after the other');
          if (docker) await benchTasks(system, say);
          else say('  no Docker Engine answers: not measured');
        }
        if (runs('usage')) {
          say('\nusage events to the http sink');
          await benchUsage(system, receiver, say);
        }
      } finally {
        if (docker) await removeContainers(docker, instance);
      }
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
