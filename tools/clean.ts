// npm run clean: removes the data of an instance and its containers, networks and volumes. Images and the tool cache stay.
import fs from 'node:fs';
import path from 'node:path';
import { findDocker, removeContainers } from './docker';
import { explain, Failure } from './failure';
import { currentInstance, type Instance } from './instance';
import { runningPid } from './processes';
import { say } from './progress';
import { stopInstance } from './stop-instance';

async function clean(instance: Instance): Promise<void> {
  const pid = runningPid(instance, 'start');
  if (pid !== undefined)
    throw new Failure(`The system is running (pid ${pid}): stop it first (Ctrl-C there, or kill ${pid}).`);
  await stopInstance(instance); // what a killed start tool left
  const docker = await findDocker();
  if (docker) {
    const { containers, networks, volumes } = await removeContainers(docker, instance);
    say(`removed ${containers} containers, ${networks} networks and ${volumes} volumes`);
  } else {
    say('no Docker Engine answers: containers of tasks, if there are any, stay');
  }
  for (const entry of ownEntries(instance)) fs.rmSync(entry, { recursive: true, force: true });
  say(`removed the data in ${path.relative(process.cwd(), instance.runDir)}`);
}

/** The folder's entries; of the default instance's without the folders of other instances, which lie in it. */
function ownEntries(instance: Instance): string[] {
  if (!fs.existsSync(instance.runDir)) return [];
  return fs
    .readdirSync(instance.runDir)
    .map((name) => path.join(instance.runDir, name))
    .filter((entry) => !fs.existsSync(path.join(entry, 'secrets.json')));
}

clean(currentInstance()).catch((error: unknown) => {
  console.error(explain(error));
  process.exitCode = 1;
});
