/** The borders of the code (docs/architecture.md), one named rule each; the comment says the cure. */
const SERVICES = '^services/';
const testFile = '(/test/|\\.test\\.ts$)';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment:
        'Two files that need each other are one thing, or miss a third: move what both need into a file of its own.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'services-never-import-each-other',
      comment:
        'Services meet in shared/contracts and over Dapr: call by the sidecar, or move the schema to shared/contracts.',
      severity: 'error',
      from: { path: '^services/([^/]+)/' },
      to: { path: SERVICES, pathNot: '^services/$1/' },
    },
    {
      name: 'domain-is-pure',
      comment:
        'domain/ imports only domain/, shared/errors and shared/contracts: pass what it needs as a value (time and ids too).',
      severity: 'error',
      from: { path: '^services/[^/]+/domain/', pathNot: testFile },
      to: {
        pathNot: ['^services/[^/]+/domain/', '^shared/errors\\.ts$', '^shared/contracts/'],
        dependencyTypesNot: ['npm', 'npm-dev', 'core'],
      },
    },
    {
      name: 'domain-does-no-io',
      comment:
        'domain/ needs no built-in module but crypto hashes, and no package but zod and canonicalize: make it a port.',
      severity: 'error',
      from: { path: '^services/[^/]+/domain/', pathNot: testFile },
      to: {
        dependencyTypes: ['npm', 'npm-dev', 'core'],
        pathNot: ['node_modules/(zod|canonicalize)/', '^(node:)?crypto$'],
      },
    },
    {
      name: 'application-knows-ports-not-adapters',
      comment: 'application/ works on ports/ and domain/; main.ts hands it the adapter. Add a method to the port.',
      severity: 'error',
      from: { path: '^services/[^/]+/application/', pathNot: testFile },
      to: { path: '^services/[^/]+/(adapters|http|main\\.ts|config\\.ts)' },
    },
    {
      name: 'ports-know-only-domain',
      comment: 'ports/ speaks the language of domain/: put the type into domain/, or let the adapter convert.',
      severity: 'error',
      from: { path: '^services/[^/]+/ports/', pathNot: testFile },
      to: { path: '^services/[^/]+/(adapters|application|http|main\\.ts|config\\.ts)' },
    },
    {
      name: 'adapters-know-ports-and-domain',
      comment:
        'adapters/ implements ports/: what it wants of application/ or http/ is a parameter or belongs in domain/.',
      severity: 'error',
      from: { path: '^services/[^/]+/adapters/', pathNot: testFile },
      to: { path: '^services/[^/]+/(application|http|main\\.ts|config\\.ts)' },
    },
    {
      name: 'http-goes-through-application',
      comment:
        'http/ is a table from paths to use cases: write a use case in application/ instead of calling an adapter.',
      severity: 'error',
      from: { path: '^services/[^/]+/http/', pathNot: testFile },
      to: { path: '^services/[^/]+/(adapters|main\\.ts|config\\.ts)' },
    },
    {
      name: 'shared-knows-no-service',
      comment: 'shared/ is what two or more services use; what knows one service belongs to that service.',
      severity: 'error',
      from: { path: '^shared/' },
      to: { path: '^(services|tools|test)/' },
    },
    {
      name: 'nobody-imports-main',
      comment: 'main.ts starts a process when it is imported: move what you need out of it.',
      severity: 'error',
      from: {},
      to: { path: '^services/[^/]+/main\\.ts$' },
    },
    {
      name: 'docker-only-behind-its-port',
      comment: 'dockerode is used in task-runner/adapters (and tools, tests): go through ports/container-runtime.ts.',
      severity: 'error',
      from: { pathNot: ['^services/task-runner/(adapters|test)/', '^tools/', '^test/'] },
      to: { path: 'node_modules/dockerode/' },
    },
    {
      name: 'dapr-only-in-shared-dapr',
      comment: 'The Dapr SDK throws no typed errors; shared/dapr does: use its sidecar.',
      severity: 'error',
      from: { pathNot: '^shared/dapr/' },
      to: { path: 'node_modules/@dapr/dapr/' },
    },
    {
      name: 'services-do-not-import-tools',
      comment: 'tools/ runs the system on one machine; a service knows only its environment.',
      severity: 'error',
      from: { path: SERVICES },
      to: { path: '^(tools|test)/' },
    },
    {
      name: 'production-code-needs-production-packages',
      comment: 'This package is a devDependency and is absent in the container image: move it to dependencies.',
      severity: 'error',
      from: {
        path: '^(services|shared)/',
        pathNot: [testFile, '/testing/', '/contracts/compile\\.ts$', '/verifier/page/build\\.ts$'],
      },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
    },
    {
      name: 'resolvable',
      comment: 'This import leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|\\.run)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
