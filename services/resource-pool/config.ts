import { baseConfig, readConfig } from '../../shared/process/config';

/** This service's environment: the variables that all services have. */
export const configure = (environment: NodeJS.ProcessEnv) => readConfig(baseConfig, environment);
