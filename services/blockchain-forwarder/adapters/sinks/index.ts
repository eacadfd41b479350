import type { z } from 'zod';
import type { LedgerSink } from '../../ports/ledger-sink';
import { fileSink, fileVariables } from './file';
import { httpSink, httpVariables } from './http';

/** The environment of all sinks: config.ts reads it. */
export const sinkVariables = { ...httpVariables, ...fileVariables };

export type SinkConfig = z.output<z.ZodObject<typeof sinkVariables>>;

/** Each gives its sink when its variables are set, else null. */
const SINKS: readonly ((config: SinkConfig) => LedgerSink | null)[] = [httpSink, fileSink];

export function configuredSinks(config: SinkConfig): LedgerSink[] {
  return SINKS.flatMap((sink) => sink(config) ?? []);
}
