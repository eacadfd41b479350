import { z } from 'zod';
import { capacity, displayName, instant } from '../../../shared/contracts/fields';
import { idempotencyKey } from '../../../shared/http/conditions';
import { route, type Route } from '../../../shared/http/route';
import { correctUsage, type CorrectParts } from '../application/correct-usage';
import { presentUsage, usageId, usageSchema } from './usage-schemas';

export function correctionRoutes(parts: CorrectParts): Route[] {
  return [
    route({
      method: 'post',
      path: '/api/usage/{id}/corrections',
      summary: 'Add a record that says what is true instead of this one, which stays',
      access: { permission: 'usage:admin' },
      headers: { 'Idempotency-Key': 'the same key and body are one correction, for good' },
      params: usageId,
      body: z.strictObject({
        startedAt: instant.optional(),
        endedAt: instant.optional(),
        capacity: capacity.optional(),
        reason: displayName.meta({ example: 'the clock of node 7 was an hour ahead' }),
      }),
      responses: { 201: usageSchema },
      errors: [
        'usage.not_found',
        'usage.already_corrected',
        'usage.correction_refused',
        'request.idempotency_key_reused',
      ],
      handle: async ({ params: { id }, body, caller, header }) => {
        const key = idempotencyKey(header('idempotency-key'), [caller.sub, `POST /api/usage/${id}/corrections`], body);
        const made = await correctUsage(id, body, { by: caller.sub, key }, parts);
        const headers = { Location: `/api/usage/${made.usage.record.id}` };
        return { status: 201, body: presentUsage(made), headers };
      },
    }),
  ];
}
