import { z } from 'zod';
import { uuid } from './fields';

/**
 * What whoever starts a task says of it and everybody is told: the request, the task, its row, the answers, the filters of
 * the list and the events have these fields from here. Rows and events are kept for ever, so a new field is optional, and
 * a rule is only ever loosened.
 */
export const toldOfTask = {
  userId: uuid,
  serviceType: z.string().min(1).max(100).meta({ example: 'demo' }),
};

export type ToldOfTask = z.infer<z.ZodObject<typeof toldOfTask>>;

/** As the filters of a list have them. */
export type PartlyTold = { [Name in keyof ToldOfTask]?: ToldOfTask[Name] | undefined };

export const TOLD_OF_TASK = Object.keys(toldOfTask) as (keyof ToldOfTask)[];

/** These fields of whatever has them, and nothing else. */
export function toldOf(holder: ToldOfTask): ToldOfTask {
  return Object.fromEntries(TOLD_OF_TASK.map((name) => [name, holder[name]])) as ToldOfTask;
}
