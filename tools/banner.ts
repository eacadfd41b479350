import type { DevInfo } from './dev-info';
import { PEOPLE } from './tokens';

/** What a person needs who has just started the system: addresses, tokens, and a first use to paste. */
export function banner(info: DevInfo, facts: { runDir: string; elapsed: string; tasks: boolean }): string {
  const rows = Object.entries({ ...info.services, ...info.replicas }).map(([name, { url }]) => [
    name,
    url,
    `${url}/docs`,
  ]);
  const tokens = Object.entries(info.tokens).map(([role, token]) => `  ${role.toUpperCase()}_TOKEN='${token}'`);
  const [pools, allocations, tasks] = ['resource-pool', 'allocation', 'task-runner'].map(
    (name) => info.services[name]?.url,
  );
  return `
${table([['service', 'URL', 'API documents'], ...rows])}

Tokens for the roles, good for 24 hours, and a first use (paste them):

${tokens.join('\n')}

  # create a pool of 8 GPUs
  POOL=$(curl -fsS -X POST ${pools}/resource_pools -H "Authorization: Bearer $OWNER_TOKEN" -H 'Content-Type: application/json' \\
    -d '{"name":"a100","resource_type":"GPU","total_capacity":8,"location":"rack-1"}' | sed 's/.*"id":"\\([^"]*\\)".*/\\1/')

  # allocate two of them
  curl -fsS -X POST ${allocations}/resource_pools/$POOL/allocations -H "Authorization: Bearer $SERVICE_TOKEN" \\
    -H 'Content-Type: application/json' -d '{"service_id":"${PEOPLE.service.sub}","capacity":2}'

  # start a task: open the iframeUrl it answers${facts.tasks ? '' : ' (503 until a Docker Engine runs)'}
  curl -fsS -X POST ${tasks}/api/tasks -H "Authorization: Bearer $USER_TOKEN" -H 'Content-Type: application/json' \\
    -d '{"userId":"${PEOPLE.user.sub}","serviceType":"demo"}'

The same for programs: ${facts.runDir}/dev.json. Logs: ${facts.runDir}/logs/. Ready after ${facts.elapsed}. Ctrl-C stops everything.
`;
}

function table(rows: string[][]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
