// npm run token -- --sub <uuid> --role <role> [--role <role>] [--ttl 1h]
import { parseArgs } from 'node:util';
import { explain, Failure } from './failure';
import { currentInstance } from './instance';
import { hasSecrets, instanceSecrets } from './secrets';
import { mintToken, parseTtl } from './tokens';

const USAGE = 'Use: npm run token -- --sub <uuid> --role <role> [--role <role>] [--ttl 1h]';

function main(): void {
  const { values } = parseArgs({
    options: {
      sub: { type: 'string' },
      role: { type: 'string', multiple: true },
      ttl: { type: 'string', default: '1h' },
    },
  });
  if (!values.sub || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(values.sub)) {
    throw new Failure(`--sub must be a UUID. ${USAGE}`);
  }
  if (!values.role) throw new Failure(`At least one --role is needed. ${USAGE}`);
  const ttl = parseTtl(values.ttl);
  if (ttl === undefined) throw new Failure(`--ttl must be a number and s, m, h or d, such as 30m. ${USAGE}`);
  const instance = currentInstance();
  if (!hasSecrets(instance) && !process.env.JWT_SECRET) {
    throw new Failure('There is no instance to make a token for: run `npm start` first.');
  }
  console.log(mintToken(instanceSecrets(instance), values.sub, values.role, ttl));
}

try {
  main();
} catch (error) {
  console.error(error instanceof TypeError ? `${error.message}. ${USAGE}` : explain(error));
  process.exitCode = 1;
}
