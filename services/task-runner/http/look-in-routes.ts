import { z } from 'zod';
import { timestamp, uuid } from '../../../shared/contracts/fields';
import { route, type Route } from '../../../shared/http/route';
import type { createReadLogs, createReadStats } from '../application/look-in';
import type { Usage } from '../application/task-samples';
import type { LogLine } from '../ports/container-runtime';
import { requesterOf } from './requester';

export interface LookInUseCases {
  readLogs: ReturnType<typeof createReadLogs>;
  readStats: ReturnType<typeof createReadStats>;
}

const params = z.object({ id: uuid });

const LOGS = `A JSON text a line, oldest first: \`{at, stream, text}\`, where \`stream\` is \`stdout\` or \`stderr\``;
const LOG_LINE = `${JSON.stringify({ at: '2026-11-23T09:30:00.000Z', stream: 'stdout', text: 'listening' })}\n`;

const usageSchema = z
  .object({
    at: timestamp,
    cpuCores: z
      .number()
      .nullable()
      .meta({ description: 'used on average since the sample before; null for the first', example: 0.07 }),
    memoryBytes: z.int().meta({ example: 12_582_912 }),
    memoryLimitBytes: z.int().meta({ example: 67_108_864 }),
    networkRxBytes: z.int().meta({ description: 'received since the container began', example: 4096 }),
    networkTxBytes: z.int().meta({ description: 'sent since the container began', example: 16_384 }),
    pids: z.int().meta({ example: 8 }),
  })
  .meta({ id: 'TaskUsage' });

const statsSchema = z
  .object({
    now: usageSchema,
    series: z
      .array(usageSchema)
      .meta({ description: 'of the last minutes, oldest first, as the process that answers saw it' }),
  })
  .meta({ id: 'TaskStats' });

/** What a running task writes and uses. */
export function lookInRoutes({ readLogs, readStats }: LookInUseCases): Route[] {
  return [
    route({
      method: 'get',
      path: '/api/tasks/{id}/logs',
      summary: 'What the program of a task writes, as far as it is kept',
      access: { permission: 'task:get' },
      params,
      query: z.strictObject({
        tail: z.coerce
          .number()
          .int()
          .min(0)
          .max(100_000)
          .default(1000)
          .meta({ description: 'so many of the last lines' }),
        follow: z.enum(['true', 'false']).default('false').meta({ description: 'also what it writes from now on' }),
      }),
      responses: { 200: z.string().meta({ description: LOGS, example: LOG_LINE }) },
      mediaType: 'application/x-ndjson',
      errors: ['task.not_found', 'task.no_container', 'runtime.unavailable'],
      handle: async ({ params: { id: taskId }, query: { tail, follow }, caller, signal }) => {
        const requester = requesterOf(caller);
        const lines = await readLogs({ taskId, requester, tail, follow: follow === 'true', signal });
        return { status: 200, stream: written(lines) };
      },
    }),
    route({
      method: 'get',
      path: '/api/tasks/{id}/stats',
      summary: 'What the container of a task uses, now and in the last minutes',
      access: { permission: 'task:get' },
      params,
      responses: { 200: statsSchema },
      errors: ['task.not_found', 'task.no_container', 'runtime.unavailable'],
      handle: async ({ params: { id }, caller }) => {
        const { now, series } = await readStats(id, requesterOf(caller));
        return { status: 200, body: { now: toUsageWire(now), series: series.map(toUsageWire) } };
      },
    }),
  ];
}

async function* written(lines: AsyncIterable<LogLine>): AsyncGenerator<string> {
  for await (const { at, stream, text } of lines) yield `${JSON.stringify({ at, stream, text })}\n`;
}

function toUsageWire(usage: Usage): z.input<typeof usageSchema> {
  const { at, cpuCores, memoryBytes, memoryLimitBytes, networkRxBytes, networkTxBytes, pids } = usage;
  return { at, cpuCores, memoryBytes, memoryLimitBytes, networkRxBytes, networkTxBytes, pids };
}
