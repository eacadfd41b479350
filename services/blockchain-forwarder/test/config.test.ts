import { ConfigError } from '../../../shared/process/config';
import { forwarderConfig } from '../config';

const base = { APP_PORT: '8104', DAPR_HTTP_PORT: '3104', APP_API_TOKEN: 'x'.repeat(16), JWT_SECRET: 'x'.repeat(32) };
const evm = {
  EVM_RPC_URL: 'http://127.0.0.1:8545',
  EVM_CHAIN_ID: '31337',
  EVM_CONTRACT: `0x${'ab'.repeat(20)}`,
  EVM_PRIVATE_KEY: `0x${'cd'.repeat(32)}`,
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
    expect(forwarderConfig(base).evm).toBeUndefined();
    expect(forwarderConfig({ ...base, ...evm }).evm).toEqual({
      rpcUrl: evm.EVM_RPC_URL,
      chainId: 31337,
      contract: evm.EVM_CONTRACT,
      privateKey: evm.EVM_PRIVATE_KEY,
    });
  });

  it('when the chain is configured by half, then what is missing is named', () => {
    const faults = faultsOf({ ...base, EVM_RPC_URL: evm.EVM_RPC_URL });
    for (const name of ['EVM_CHAIN_ID', 'EVM_CONTRACT', 'EVM_PRIVATE_KEY'])
      expect(faults).toContain(`${name} is missing`);
  });

  it('when a key is malformed, then it is named and its value is not shown', () => {
    const faults = faultsOf({ ...base, ...evm, EVM_PRIVATE_KEY: 'hunter2' });
    expect(faults).toContain('EVM_PRIVATE_KEY: must be 0x and 64 hexadecimal digits');
    expect(faults).not.toContain('hunter2');
  });
});
