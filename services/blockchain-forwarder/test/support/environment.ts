/** The least that the forwarder starts with. */
export const ENVIRONMENT = {
  NODE_ENV: 'test',
  APP_PORT: '8104',
  DAPR_HTTP_PORT: '3104',
  APP_API_TOKEN: 'x'.repeat(16),
  JWT_SECRET: 'x'.repeat(32),
};
