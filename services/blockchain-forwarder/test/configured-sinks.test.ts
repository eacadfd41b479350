import { configuredSinks } from '../adapters/sinks';
import { forwarderConfig } from '../config';

const base = { APP_PORT: '8104', DAPR_HTTP_PORT: '3104', APP_API_TOKEN: 'x'.repeat(16), JWT_SECRET: 'x'.repeat(32) };
const placesOf = (environment: Record<string, string>) =>
  configuredSinks(forwarderConfig({ ...base, ...environment })).map(({ name, place }) => [name, place]);

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
});
