interface ToolVariable {
  name: string;
  reader: string;
  fallback: string;
  allowed: string;
  meaning: string;
}

const START = '`npm start`';
const AUDIT = '`npm run audit:ledger`';
const E2E = 'e2e tests';

/** What the tools, the tests and Dapr's components read of the environment; docs/configuration.md shows it. */
export const TOOL_VARIABLES: readonly ToolVariable[] = [
  {
    name: 'DATABASE_URL',
    reader: `${START}, both audits, components`,
    fallback: 'an own PostgreSQL',
    allowed: 'a postgresql URL whose database answers',
    meaning: 'database of the state store and the views **(secret)**',
  },
  {
    name: 'NATS_URL',
    reader: `${START}, ${AUDIT}, components`,
    fallback: 'an own nats-server',
    allowed: 'a nats URL that answers, with JetStream',
    meaning: 'broker of the events **(secret)**',
  },
  {
    name: 'EVM_RPC_URL',
    reader: `${START}, ${AUDIT}`,
    fallback: 'an own anvil',
    allowed: 'an http or https URL of a chain that answers',
    meaning: 'used instead; for a start a key goes with it',
  },
  {
    name: 'EVM_CONTRACT',
    reader: `${START}, ${AUDIT}`,
    fallback: 'is deployed',
    allowed: '0x and 40 hexadecimal digits',
    meaning: 'a LedgerAnchor that is there already',
  },
  {
    name: 'EVM_PRIVATE_KEY',
    reader: START,
    fallback: 'with an own anvil that of its first account',
    allowed: '0x and 64 hexadecimal digits',
    meaning: 'key of the account that deploys and anchors **(secret)**',
  },
  {
    name: 'EVM_KEY',
    reader: START,
    fallback: 'none',
    allowed: "as the forwarder's, with EVM_CONTRACT",
    meaning: 'in place of EVM_PRIVATE_KEY',
  },
  {
    name: 'EVM_CONFIRMATIONS',
    reader: START,
    fallback: '`1` with an own anvil',
    allowed: "as the forwarder's",
    meaning: 'passed through',
  },
  {
    name: 'JWT_SECRET',
    reader: `${START}, \`npm run token\``,
    fallback: 'drawn once for the instance',
    allowed: 'at least 32 bytes',
    meaning: 'signs the tokens that are printed **(secret)**',
  },
  {
    name: 'JWT_ISSUER',
    reader: START,
    fallback: '`resource-manager`',
    allowed: "as the services'",
    meaning: 'passed through',
  },
  {
    name: 'JWT_AUDIENCE',
    reader: START,
    fallback: '`resource-manager`',
    allowed: "as the services'",
    meaning: 'passed through',
  },
  {
    name: 'DAPR_API_TOKEN',
    reader: `${START}, sidecars`,
    fallback: 'drawn once for the instance',
    allowed: "as the services'",
    meaning: 'asked by the sidecars of whoever calls them **(secret)**',
  },
  {
    name: 'APP_API_TOKEN',
    reader: `${START}, sidecars`,
    fallback: 'drawn once for the instance',
    allowed: "as the services'",
    meaning: 'shown by the sidecars to their services **(secret)**',
  },
  {
    name: 'LEDGER_SIGNING_KEY',
    reader: START,
    fallback: '`env:LEDGER_SIGNING_SEED`, drawn once for the instance',
    allowed: "as the forwarder's",
    meaning: 'passed through',
  },
  {
    name: 'NODE_ENV',
    reader: START,
    fallback: '`development`',
    allowed: "as the services'",
    meaning: 'what the services are told; in production the key of an own anvil is refused',
  },
  {
    name: 'DOCKER_HOST',
    reader: `${START}, \`npm test\``,
    fallback: 'the local socket',
    allowed: "as task-runner's",
    meaning: 'engine that gets the image of the type `demo`',
  },
  {
    name: 'LEDGER_FILE',
    reader: AUDIT,
    fallback: 'none',
    allowed: "as the forwarder's",
    meaning: 'compared with the ledger as well',
  },
  {
    name: 'RM_INSTANCE',
    reader: 'every tool',
    fallback: '`default`',
    allowed: 'at most 31 small letters, digits and hyphens',
    meaning: 'another instance beside the default one, in `.run/NAME/`',
  },
  {
    name: 'RM_PORT_OFFSET',
    reader: 'every tool',
    fallback: '`0`; benchmarks `2000`',
    allowed: 'a whole number from 0 to 50000',
    meaning: 'how much higher all ports are; offsets that differ by 5000 collide',
  },
  {
    name: 'RM_REPLICAS',
    reader: START,
    fallback: 'none',
    allowed: 'app-ids of dapr.yaml, with commas',
    meaning: 'services that get a second replica with its own sidecar, ports 50 higher',
  },
  {
    name: 'RM_APPS',
    reader: START,
    fallback: 'all',
    allowed: 'app-ids of dapr.yaml, with commas',
    meaning: 'the apps that run',
  },
  {
    name: 'RM_ENDS_WITH',
    reader: START,
    fallback: 'none',
    allowed: 'a process id',
    meaning:
      'the system stops, and its containers are removed, when this process has ended: for tests that are broken off',
  },
  {
    name: 'RM_E2E_PORT_OFFSET',
    reader: E2E,
    fallback: '`1000`',
    allowed: 'as RM_PORT_OFFSET',
    meaning: 'how much higher the ports of the e2e instance are',
  },
  {
    name: 'RM_E2E_KEEP',
    reader: E2E,
    fallback: 'none',
    allowed: 'anything',
    meaning: 'not empty: the e2e instance that runs already is used, and left running',
  },
  {
    name: 'RM_REPORT_RECORDS',
    reader: E2E,
    fallback: '`100000`',
    allowed: 'a whole number',
    meaning: 'records in the test of usage reports at scale',
  },
  {
    name: 'DAPR_RUNTIME_PATH',
    reader: START,
    fallback: 'the home folder',
    allowed: 'the path of a folder',
    meaning: 'below it, in `.dapr/bin`, an installed Dapr is looked for, beside PATH',
  },
  {
    name: 'XDG_CACHE_HOME',
    reader: `${START}, \`npm test\``,
    fallback: '`~/.cache`',
    allowed: 'the path of a folder',
    meaning: 'where what is built is kept',
  },
  {
    name: 'CI',
    reader: '`npm test`',
    fallback: 'none',
    allowed: 'anything',
    meaning: 'not empty: a skipped test has failed',
  },
  {
    name: 'FUZZ_SEED',
    reader: 'unit tests',
    fallback: 'the usual one',
    allowed: 'a whole number',
    meaning: 'from which the requests of the fuzz follow; a failure prints it',
  },
  {
    name: 'FUZZ_RUNS',
    reader: 'unit tests',
    fallback: '`55`',
    allowed: 'a whole number',
    meaning: 'requests of each kind that the fuzz sends',
  },
];
