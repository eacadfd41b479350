import { randomUUID } from 'node:crypto';
import { silentLogger } from '../../../shared/logging/logger';
import { MemoryLedger } from '../adapters/memory-ledger';
import { ingestEvents } from '../application/ingest-events';
import type { EndOfUse } from '../domain/usage-record';
import { taskStopped } from './support/samples';

const NOW = new Date('2026-11-23T10:05:00.000Z');

function ingesting(store: MemoryLedger) {
  const parts = { store, logger: silentLogger, now: () => NOW, newId: randomUUID, wakeLedger: () => undefined };
  return (...events: EndOfUse[]) => ingestEvents({ events, invalid: [] }, parts);
}

describe('two events of other content under one id', () => {
  const one = taskStopped() as EndOfUse;
  const other = { ...one, data: { ...one.data, reason: 'exited' } } as EndOfUse;

  test.each([
    ['come together', [one, other], 'stopped_by_user'],
    ['come together, the same twice', [one, other, one, other], 'stopped_by_user'],
  ])('when they %s, then the first is the record and the other a dead letter', async (_, events, reason) => {
    const store = new MemoryLedger();
    await ingesting(store)(...events);
    expect((await store.get(one.id))?.usage.record.reason).toBe(reason);
    const letters = await store.listDeadLetters({}, { limit: 10 });
    expect(letters).toMatchObject([{ reason: 'usage.content_mismatch', event: JSON.stringify(other) }]);
  });

  test('when they come together and the second one is the record already, then only the first is a dead letter', async () => {
    const store = new MemoryLedger();
    await ingesting(store)(other);
    await ingesting(store)(one, other);
    expect((await store.get(one.id))?.usage.record.reason).toBe('exited');
    const letters = await store.listDeadLetters({}, { limit: 10 });
    expect(letters).toMatchObject([{ reason: 'usage.content_mismatch', event: JSON.stringify(one) }]);
  });
});
