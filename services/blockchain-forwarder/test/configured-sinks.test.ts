import { configuredSinks } from '../adapters/sinks';
import { forwarderConfig } from '../config';
import { ENVIRONMENT } from './support/environment';

const sources = { variable: () => undefined, sidecar: { secret: () => Promise.reject(new Error('there is none')) } };
const placesOf = (environment: Record<string, string>) =>
  configuredSinks(forwarderConfig({ ...ENVIRONMENT, ...environment }), sources).map(({ name, place }) => [name, place]);

describe('the sinks that are switched on', () => {
  it('when no variable of a sink is set, or it is empty, then there is none', () => {
    expect(placesOf({})).toEqual([]);
    expect(placesOf({ LEDGER_FILE: '', BLOCKCHAIN_SERVICE_URL: '', BLOCKCHAIN_SERVICE_TOKEN: 'unused' })).toEqual([]);
  });

  it('when its variable is set, then the sink is there', () => {
    const url = 'https://ledger.example/usage-logs?key=1';
    expect(placesOf({ LEDGER_FILE: '/ledger/usage.jsonl' })).toEqual([['file', '/ledger/usage.jsonl']]);
    expect(placesOf({ LEDGER_FILE: '/ledger/usage.jsonl', BLOCKCHAIN_SERVICE_URL: url })).toEqual([
      ['http', 'https://ledger.example/usage-logs'],
      ['file', '/ledger/usage.jsonl'],
    ]);
  });

  it('when a chain is configured, then its sink is the contract on it', () => {
    const chain = { EVM_RPC_URL: 'http://127.0.0.1:1', EVM_CHAIN_ID: '7', EVM_CONTRACT: `0x${'AB'.repeat(20)}` };
    const keys = { EVM_KEY: 'env:KEY', LEDGER_SIGNING_KEY: 'env:KEY' };
    expect(placesOf({ ...chain, ...keys })).toEqual([['evm', `7/0x${'ab'.repeat(20)}`]]);
  });
});
