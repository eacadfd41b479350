import { baseConfig, readConfig } from '../../shared/process/config';

/** This service's environment: the variables that all services have. */
export const configShape = baseConfig;

/** @throws ConfigError that lists every fault */
export const configure = (environment: NodeJS.ProcessEnv) => readConfig(configShape, environment);
