import type { z } from 'zod';
import type { LedgerSink } from '../../ports/ledger-sink';
import type { SecretSources } from '../keys/secret-text';
import { evmFaults, evmSink, evmVariables } from './evm';
import { fileSink, fileVariables } from './file';
import { httpSink, httpVariables } from './http';

/** The environment of all sinks: config.ts reads it. */
export const sinkVariables = { ...evmVariables, ...httpVariables, ...fileVariables };

export type SinkConfig = z.output<z.ZodObject<typeof sinkVariables>>;

/** What is wrong with the variables of a sink taken together. */
export const sinkFaults = evmFaults;

/** Each gives its sink when its variables are set, else null. */
const SINKS: readonly ((config: SinkConfig, sources: SecretSources) => LedgerSink | null)[] = [
  evmSink,
  httpSink,
  fileSink,
];

export function configuredSinks(config: SinkConfig, sources: SecretSources): LedgerSink[] {
  return SINKS.flatMap((sink) => sink(config, sources) ?? []);
}
