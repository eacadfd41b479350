import type { z } from 'zod';
import type { LedgerSink } from '../../ports/ledger-sink';
import { httpSink, httpVariables } from './http';

/** The environment of all sinks: config.ts reads it. */
export const sinkVariables = { ...httpVariables };

export type SinkConfig = z.output<z.ZodObject<typeof sinkVariables>>;

/** Each gives its sink when its variables are set, else null. */
const SINKS: readonly ((config: SinkConfig) => LedgerSink | null)[] = [httpSink];

export function configuredSinks(config: SinkConfig): LedgerSink[] {
  return SINKS.flatMap((sink) => sink(config) ?? []);
}
