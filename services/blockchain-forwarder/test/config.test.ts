import { ConfigError } from '../../../shared/process/config';
import { forwarderConfig } from '../config';
import { ENVIRONMENT } from './support/environment';

const evm = {
  EVM_RPC_URL: 'http://127.0.0.1:8545',
  EVM_CHAIN_ID: '31337',
  EVM_CONTRACT: `0x${'ab'.repeat(20)}`,
  EVM_PRIVATE_KEY: `0x${'cd'.repeat(32)}`,
  LEDGER_SIGNING_KEY: 'env:SIGNING',
};

function faultsOf(environment: Record<string, string>): string {
  try {
    forwarderConfig(environment);
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

describe('the environment', () => {
  it('when no chain is configured, then there is none; when it is whole, then it is read', () => {
    expect(forwarderConfig(ENVIRONMENT).EVM_RPC_URL).toBeUndefined();
    const config = forwarderConfig({ ...ENVIRONMENT, ...evm });
    expect(config).toMatchObject({
      EVM_RPC_URL: evm.EVM_RPC_URL,
      EVM_CHAIN_ID: 31337,
      EVM_CONTRACT: evm.EVM_CONTRACT,
      EVM_STUCK_MS: 60_000,
      EVM_MAX_FEE_GWEI: 200,
      limits: { count: 1_000, bytes: 1_000_000, ageMs: 5_000 },
    });
    expect(JSON.stringify(config)).not.toContain(evm.EVM_PRIVATE_KEY);
    expect(config.variable('EVM_PRIVATE_KEY')).toBe(evm.EVM_PRIVATE_KEY);
  });

  it('when the keys are named by references, then these are read, and nothing else is taken for one', () => {
    const { EVM_PRIVATE_KEY: _, ...chain } = evm;
    const config = forwarderConfig({
      ...ENVIRONMENT,
      ...chain,
      EVM_KEY: 'dapr:vault/anchorer',
      LEDGER_SIGNING_KEY: 'file:/k',
    });
    expect(config.EVM_KEY).toEqual({ kind: 'dapr', store: 'vault', name: 'anchorer' });
    expect(config.LEDGER_SIGNING_KEY).toEqual({ kind: 'file', path: '/k' });
    const faults = faultsOf({ ...ENVIRONMENT, ...chain, EVM_KEY: 'hunter2', LEDGER_SIGNING_KEY: 'file:hunter2' });
    for (const name of ['EVM_KEY', 'LEDGER_SIGNING_KEY'])
      expect(faults).toContain(`${name}: must be env:NAME, file:/path`);
    expect(faults).not.toContain('hunter2');
    expect(faultsOf({ ...ENVIRONMENT, ...evm, EVM_KEY: 'env:K' })).toContain(
      'EVM_KEY and EVM_PRIVATE_KEY are both set',
    );
  });

  it('when the chain is configured by half, then what is missing is named', () => {
    const faults = faultsOf({ ...ENVIRONMENT, EVM_RPC_URL: evm.EVM_RPC_URL });
    for (const name of ['EVM_CHAIN_ID', 'EVM_CONTRACT', 'EVM_KEY', 'LEDGER_SIGNING_KEY'])
      expect(faults).toContain(`${name} is missing`);
  });

  it('when it is production, then a key for development is refused, given itself or by a reference', () => {
    const published = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
    const secrets = { APP_API_TOKEN: 'b1946ac92492d234', JWT_SECRET: 'b1946ac92492d2347c6235b4d2611184' };
    const production = { ...ENVIRONMENT, ...evm, ...secrets, NODE_ENV: 'production', EVM_PRIVATE_KEY: published };
    const faults = faultsOf(production);
    expect(faults).toContain('EVM_PRIVATE_KEY: it is a published key of development chains, which production refuses');
    expect(faults).not.toContain(published);
    expect(faultsOf({ ...production, NODE_ENV: 'development' })).toBe('');
    const { EVM_PRIVATE_KEY: _, ...byReference } = { ...production, EVM_KEY: 'env:KEY' };
    expect(forwarderConfig(byReference).refused(published)).toBe('it is a published key of development chains');
    expect(forwarderConfig({ ...byReference, NODE_ENV: 'development' }).refused(published)).toBeUndefined();
  });

  it('when a key is malformed, then it is named and its value is not shown', () => {
    const faults = faultsOf({ ...ENVIRONMENT, ...evm, EVM_PRIVATE_KEY: 'hunter2' });
    expect(faults).toContain('EVM_PRIVATE_KEY: must be 0x and 64 hexadecimal digits');
    expect(faults).not.toContain('hunter2');
  });
});
