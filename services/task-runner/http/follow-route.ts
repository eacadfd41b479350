import { z } from 'zod';
import { uuid } from '../../../shared/contracts/fields';
import { invalid } from '../../../shared/errors';
import { route, type Route } from '../../../shared/http/route';
import { serverSentEvent } from '../../../shared/http/stream';
import type { createFollowTask, Told } from '../application/follow-task';
import { requesterOf } from './requester';
import { toTaskWire } from './task-wire';

const STREAM = `Server-Sent Events, in order:
- \`step\`: \`{status, at, reason, actor}\`, a step of the history, also those before now; its id counts them from 0
- \`warning\`: such a step that its owner should take notice of
- \`progress\`: \`{bytes, totalBytes, percent}\` of the pull of its image, where this process pulls it; without an id
- \`waiting\`: \`{position, reason}\` in the line for capacity, where this process asks; without an id
- \`end\`: the task as it ended; then the stream closes, and answers 204 to who has been told`;

const STEP = serverSentEvent(
  'step',
  { status: 'Running', at: '2026-11-23T09:30:00.000Z', reason: 'ready', actor: 'system' },
  3,
);

/** What happens to a task, as it happens. */
export function followRoute(followTask: ReturnType<typeof createFollowTask>): Route {
  return route({
    method: 'get',
    path: '/api/tasks/{id}/events',
    summary: 'What happens to a task, as it happens, until it has ended',
    access: { permission: 'task:get' },
    headers: { 'Last-Event-ID': 'id of the last event that the client has got: go on after it' },
    params: z.object({ id: uuid }),
    responses: { 200: z.string().meta({ description: STREAM, example: STEP }), 204: null },
    mediaType: 'text/event-stream',
    errors: ['task.not_found'],
    handle: async ({ params, caller, header, signal }) => {
      const last = eventId(header('last-event-id'));
      const told = await followTask({ taskId: params.id, requester: requesterOf(caller), last, signal });
      return told ? { status: 200, stream: written(told) } : { status: 204 };
    },
  });
}

function eventId(header: string | undefined): number | undefined {
  if (header === undefined || header === '') return undefined;
  if (!/^\d{1,9}$/.test(header)) {
    throw invalid([{ field: 'header.Last-Event-ID', message: 'must be the id of an event of this stream' }]);
  }
  return Number(header);
}

async function* written(told: AsyncIterable<Told>): AsyncGenerator<string> {
  for await (const news of told) {
    switch (news.kind) {
      case 'step':
      case 'warning':
        yield serverSentEvent(news.kind, news.step, news.number);
        break;
      case 'waiting':
        yield serverSentEvent('waiting', news.place);
        break;
      case 'progress':
        yield serverSentEvent('progress', news.progress);
        break;
      case 'end':
        yield serverSentEvent('end', toTaskWire(news.task), news.number);
        break;
      case 'pulse':
        yield ': pulse\n\n';
    }
  }
}
