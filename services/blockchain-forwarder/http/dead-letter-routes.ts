import { z } from 'zod';
import { ENDS_USE } from '../../../shared/contracts/events';
import { displayName, timestamp, uuid } from '../../../shared/contracts/fields';
import { decodeCursor, encodeCursor, pageOutput, pageQuery } from '../../../shared/http/paging';
import { route, type Route } from '../../../shared/http/route';
import { eventExaminer } from '../../../shared/http/subscription';
import { dropLetter, replayLetter, replayLetters, type ReplayParts } from '../application/replay-dead-letters';
import {
  DEAD_LETTER_REASONS,
  DEAD_LETTER_STATES,
  REPLAY_RESULTS,
  stateOfLetter,
  type DeadLetter,
} from '../domain/dead-letter';

const params = z.object({ id: uuid });
const DETAIL = 'data.userId: Invalid UUID';
const detail = z.string().meta({ example: DETAIL });
const text = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\0\p{Cs}]*$/u, 'must hold no NUL and no half surrogate pair')
  .meta({ example: 'evm' });
const reason = z.enum(DEAD_LETTER_REASONS);

const letterQuery = z.strictObject({
  state: z.enum(DEAD_LETTER_STATES).optional(),
  reason: reason.optional(),
  eventId: text.optional(),
  sink: text.optional().meta({ description: 'That refused the record.' }),
  ...pageQuery,
});

const letterSchema = z
  .object({
    id: uuid,
    topic: z.string().meta({ example: 'task.stopped' }),
    eventId: z.string().nullable().meta({ example: '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11' }),
    reason,
    detail,
    event: z.unknown().meta({ example: { type: 'task.stopped', data: { userId: 'nobody' } } }),
    refusedBy: z.object({ sink: z.string(), batchId: z.int() }).nullable().meta({ example: null }),
    receivedAt: timestamp.meta({ description: 'When it came first.' }),
    lastSeenAt: timestamp,
    state: z.enum(DEAD_LETTER_STATES),
    handling: z
      .array(
        z.object({
          action: z.enum(['replay', 'drop']),
          by: z.string().meta({ example: '00000000-0000-4000-8000-000000000001' }),
          at: timestamp,
          result: z.enum([...REPLAY_RESULTS, 'dropped']),
          detail,
        }),
      )
      .meta({ description: 'What administrators did with it, the last 20 acts.' }),
  })
  .meta({ id: 'DeadLetter' });

const replayedSchema = z
  .object({ result: z.enum(REPLAY_RESULTS), detail, letter: letterSchema })
  .meta({ id: 'DeadLetterReplay' });

const replayAll = z.strictObject({
  reason: reason.optional(),
  sink: text.optional(),
  limit: z.int().min(1).max(500).default(100).meta({ description: 'Letters that one request takes up.' }),
  cursor: z
    .string()
    .max(500)
    .nullish()
    .meta({ description: 'Of the answer before: goes on behind those letters.', example: null }),
});

const countsSchema = z
  .object({
    replayed: z.int(),
    failed: z.int().meta({ description: 'Tried, and open as before.' }),
    left: z.int().meta({ description: 'Open, and not tried yet.' }),
    cursor: z
      .string()
      .nullable()
      .meta({ description: 'For the next request; null when nothing is left.', example: null }),
  })
  .meta({ id: 'DeadLetterReplays' });

export function deadLetterRoutes(given: Omit<ReplayParts, 'examine'>): Route[] {
  const parts: ReplayParts = { ...given, examine: eventExaminer(ENDS_USE) as ReplayParts['examine'] };
  const access = { permission: 'usage:admin' };
  return [
    route({
      method: 'get',
      path: '/api/usage/dead-letters',
      summary: 'List the events that became no record, and the records that a sink refused, with the reason',
      access,
      query: letterQuery,
      responses: { 200: z.array(letterSchema) },
      handle: async (input) => {
        const { limit, cursor, ...filter } = input.query;
        const rows = await parts.letters.listDeadLetters(filter, { limit: limit + 1, after: decodeCursor(cursor) });
        return pageOutput(input, limit, rows, ({ receivedAt, id }) => ({ at: receivedAt, id }), presentLetter);
      },
    }),
    route({
      method: 'post',
      path: '/api/usage/dead-letters/replay',
      summary: 'Replay the open letters, newest first, as many as one request may',
      access,
      body: replayAll,
      responses: { 200: countsSchema },
      handle: async ({ body: { limit, cursor, ...filter }, caller }) => {
        const page = { limit, after: decodeCursor(cursor ?? undefined) };
        const { last, ...counts } = await replayLetters(filter, page, caller.sub, parts);
        return { status: 200, body: { ...counts, cursor: last ? encodeCursor(last) : null } };
      },
    }),
    route({
      method: 'post',
      path: '/api/usage/dead-letters/{id}/replay',
      summary: 'Send a letter the way that it came once more; harmless when repeated',
      access,
      params,
      responses: { 200: replayedSchema },
      errors: ['dead_letter.not_found', 'dead_letter.sink_not_configured', 'dead_letter.contended'],
      handle: async ({ params: { id }, caller }) => {
        const { letter, ...outcome } = await replayLetter(id, caller.sub, parts);
        return { status: 200, body: { ...outcome, letter: presentLetter(letter) } };
      },
    }),
    route({
      method: 'post',
      path: '/api/usage/dead-letters/{id}/drop',
      summary: 'Close an open letter with a reason; it stays listed',
      access,
      params,
      body: z.strictObject({ reason: displayName }),
      responses: { 200: letterSchema },
      errors: ['dead_letter.not_found', 'dead_letter.not_open', 'dead_letter.contended'],
      handle: async ({ params: { id }, body, caller }) => ({
        status: 200,
        body: presentLetter(await dropLetter(id, body.reason, caller.sub, parts)),
      }),
    }),
  ];
}

function presentLetter(letter: DeadLetter): z.input<typeof letterSchema> {
  return {
    ...letter,
    event: JSON.parse(letter.event) as unknown,
    refusedBy: letter.refusedBy ?? null,
    lastSeenAt: letter.lastSeenAt ?? letter.receivedAt,
    state: stateOfLetter(letter),
    handling: [...(letter.handling ?? [])],
  };
}
