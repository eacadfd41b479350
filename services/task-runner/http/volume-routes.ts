import { z } from 'zod';
import { timestamp, uuid } from '../../../shared/contracts/fields';
import { decodeCursor, pageOutput, pageQuery } from '../../../shared/http/paging';
import { route, type Route } from '../../../shared/http/route';
import type { createDeleteVolume, createListVolumes, ListedVolume } from '../application/volumes';
import { requesterOf } from './requester';

const example = '00000000-0000-4000-8000-000000000004_jupyter_work';

const volumeSchema = z
  .object({
    name: z.string().meta({ description: 'user, service type and what that calls it', example }),
    userId: uuid,
    serviceType: z.string().meta({ example: 'jupyter' }),
    volume: z.string().meta({ description: 'as the service type calls it', example: 'work' }),
    createdAt: timestamp,
    inUse: z.boolean().meta({ description: 'a task has it, so it cannot be deleted' }),
  })
  .meta({ id: 'Volume' });

export interface VolumeUseCases {
  listVolumes: ReturnType<typeof createListVolumes>;
  deleteVolume: ReturnType<typeof createDeleteVolume>;
}

export function volumeRoutes({ listVolumes, deleteVolume }: VolumeUseCases): Route[] {
  return [
    route({
      method: 'get',
      path: '/api/volumes',
      summary: 'Own volumes, or everybody’s for an administrator, oldest first',
      access: { permission: 'volume:list' },
      query: z.strictObject(pageQuery),
      responses: { 200: z.array(volumeSchema) },
      errors: ['runtime.unavailable'],
      handle: async (input) => {
        const { limit, cursor } = input.query;
        const keyset = decodeCursor(cursor);
        const after = keyset && { createdAt: keyset.at, id: keyset.id };
        const rows = await listVolumes({ limit: limit + 1, after }, requesterOf(input.caller));
        return pageOutput(input, limit, rows, (volume) => ({ at: volume.createdAt, id: volume.id }), toVolumeWire);
      },
    }),
    route({
      method: 'delete',
      path: '/api/volumes/{name}',
      summary: 'Delete a volume and all that is in it',
      access: { permission: 'volume:delete' },
      params: z.object({ name: z.string().max(200).meta({ example }) }),
      responses: { 204: null },
      errors: ['volume.not_found', 'volume.in_use', 'runtime.unavailable'],
      handle: async ({ params, caller }) => {
        await deleteVolume(params.name, requesterOf(caller));
        return { status: 204 };
      },
    }),
  ];
}

function toVolumeWire({
  fullName,
  userId,
  serviceType,
  name,
  createdAt,
  inUse,
}: ListedVolume): z.input<typeof volumeSchema> {
  return { name: fullName, userId, serviceType, volume: name, createdAt, inUse };
}
