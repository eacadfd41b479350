import { nothingYet, dropped, mined, replacedHashes, sent, signed } from '../domain/anchor-progress';
import { correctionOf, type CorrectionRequest } from '../domain/correction';
import { arrived, handled, stateOfLetter, type DeadLetter, type Handling } from '../domain/dead-letter';
import { FINAL_STAGES, newSinkState, UNDERWAY, type Stage } from '../domain/delivery';
import { stateOf } from '../domain/usage-state';
import { faultOf, usageRecordOf, type FirstRecord } from '../domain/usage-record';
import { addUp, millisecondsOf, pageOfSums, secondsText, type Grouping, type UsageSum } from '../domain/usage-summary';
import { allocationReleased, taskStopped, usageRecord } from './support/samples';

describe('a correction', () => {
  const NOW = new Date('2026-11-24T10:00:00.000Z');
  const correct = (request: Partial<CorrectionRequest>, record: FirstRecord = usageRecord()) =>
    correctionOf(record, { reason: 'the clock was wrong', ...request }, 'new', NOW);

  it('when one thing is corrected, then the others stay, and the duration is that of the new times', () => {
    const record = usageRecord();
    const common = {
      ...{ ...record, version: 2, corrects: record.id, id: 'new', reason: 'the clock was wrong' },
      sourceEvent: { id: 'new', source: 'blockchain-forwarder', type: 'usage.corrected' },
    };
    expect(correct({ startedAt: '2026-11-23T10:00:00Z' }, record)).toEqual({
      ...{ ...common, startedAt: '2026-11-23T10:00:00.000Z', duration: 'PT3M20S' },
    });
    expect(correct({ endedAt: '2026-11-23T09:00:01+00:00' }, record)).toEqual({
      ...{ ...common, endedAt: '2026-11-23T09:00:01.000Z', duration: 'PT1S' },
    });
    expect(correct({ capacity: 7 }, record)).toEqual({ ...common, capacity: 7 });
  });

  it.each<[string, Partial<CorrectionRequest>, string]>([
    ['is as it was', { startedAt: '2026-11-23T09:00:00Z', capacity: 1000 }, 'changes nothing'],
    ['would end before it began', { endedAt: '2026-11-23T08:59:59.999Z' }, 'before it began'],
    ['would end in the future', { endedAt: '2026-11-24T10:00:00.001Z' }, 'in the future'],
    ['would begin in antiquity', { startedAt: '1999-12-31T23:59:59.999Z' }, 'year 2000'],
    ['has a long story', { capacity: 7, reason: 'x'.repeat(400) }, 'more than 900 bytes'],
  ])('when the use %s, then it is refused', (_, request, why) => {
    expect(() => correct(request)).toThrow(why);
  });

  it('when the use lies just within what can be, then it is made', () => {
    expect(correct({ endedAt: '2026-11-23T09:00:00.000Z' }).duration).toBe('PT0S');
    expect(correct({ endedAt: NOW.toISOString() }).endedAt).toBe(NOW.toISOString());
    expect(correct({ startedAt: '2000-01-01T00:00:00.000Z' }).startedAt).toBe('2000-01-01T00:00:00.000Z');
    const room = 900 - JSON.stringify(correct({ capacity: 7, reason: '' })).length;
    expect(correct({ capacity: 7, reason: 'x'.repeat(room) }).reason).toHaveLength(room);
    expect(() => correct({ capacity: 7, reason: 'x'.repeat(room + 1) })).toThrow('900 bytes');
  });

  it('when a use held nothing of a pool, then its times can be corrected, but not its units', () => {
    const record = usageRecord({ poolId: null, capacity: null });
    expect(correct({ endedAt: '2026-11-23T09:30:00Z' }, record).capacity).toBeNull();
    expect(() => correct({ capacity: 1 }, record)).toThrow('held no units');
  });
});

describe('a dead letter', () => {
  const letter = (fields: Partial<DeadLetter> = {}): DeadLetter => ({
    ...{ id: 'l', topic: 't', eventId: null, reason: 'event.invalid', detail: '', event: '{}', receivedAt: 'second' },
    ...fields,
  });
  const act = (result: Handling['result']): Handling => {
    return { action: result === 'dropped' ? 'drop' : 'replay', by: 'me', at: 'now', result, detail: '' };
  };

  it('when it comes first, then it is open', () => {
    expect(arrived(letter(), undefined)).toEqual(letter());
    expect(stateOfLetter(letter())).toBe('open');
  });

  it.each([
    [undefined, 'open'],
    ['open', 'open'],
    ['replayed', 'open'],
    ['dropped', 'dropped'],
  ] as const)(
    'when it comes again and was %s, then it is %s, and tells when it came first and last',
    (state, after) => {
      const kept = { ...letter({ receivedAt: 'first', handling: [act('dropped')] }), ...(state && { state }) };
      expect(arrived(letter({ detail: 'anew' }), kept)).toEqual({
        ...letter({ detail: 'anew', receivedAt: 'first', lastSeenAt: 'second', state: after }),
        handling: [act('dropped')],
      });
    },
  );

  it.each([
    ['dropped', 'dropped'],
    ['recorded', 'replayed'],
    ['known', 'replayed'],
    ['nothing_used', 'replayed'],
    ['reopened', 'replayed'],
    ['quarantined', 'open'],
    ['failed', 'open'],
  ] as const)('when what was done with it is %s, then it is %s', (result, state) => {
    expect(handled(letter(), act(result))).toEqual(letter({ state, handling: [act(result)] }));
  });

  it('when a replay fails that somebody dropped meanwhile, then it stays dropped', () => {
    expect(handled(letter({ state: 'dropped' }), act('failed')).state).toBe('dropped');
  });

  it('when much was done with it, then the last twenty acts are remembered', () => {
    const acts = Array.from({ length: 25 }, (_, index) => ({ ...act('failed'), at: `${index}` }));
    const { handling } = acts.reduce(handled, letter());
    expect(handling?.map(({ at }) => at)).toEqual(acts.slice(5).map(({ at }) => at));
  });
});

describe('how far a record is', () => {
  const batch = { batchId: 1, root: '', firstSequence: 1, count: 1, previousRoot: '', closedAt: '' };
  const at = (...stages: Stage[]) =>
    stateOf({ batch, deliveries: stages.map((stage) => ({ sink: '', place: '', batchId: 1, stage, since: '' })) });

  it('when it has no batch, then it is received, else what the chain says of its batch, or that it is in one', () => {
    expect(stateOf({ batch: null, deliveries: [] })).toBe('received');
    expect([at(), at('pending', 'delivered'), at('delivered', 'submitted'), at('mined'), at('finalized')]).toEqual([
      ...['batched', 'batched', 'submitted', 'mined', 'finalized'],
    ]);
  });

  it('when a sink is new, then it has begun nothing; which stages are the end, and which come before', () => {
    expect(newSinkState('evm', 'here')).toEqual({
      ...{ sink: 'evm', place: 'here', begun: 0, lease: null, failures: 0, nextStepAt: null, lastError: null },
    });
    expect([FINAL_STAGES, UNDERWAY]).toEqual([
      ['finalized', 'delivered'],
      ['pending', 'submitted'],
    ]);
  });
});

describe('what is written down of an anchor', () => {
  const attempt = (hash: string) => ({
    ...{ nonce: 1, hash, raw: '', maxFeePerGas: '1', maxPriorityFeePerGas: '1', sentAt: null },
  });
  const at = { hash: 'b', blockNumber: 1, blockHash: 'x', blockTime: '' };
  const [first, later] = [new Date('2026-01-01T00:00:00.000Z'), new Date('2026-01-01T00:01:00.000Z')];
  const both = signed(signed(nothingYet(7), attempt('a')), attempt('b'));

  it('when it was sent twice, then the first time counts, for that transaction alone', () => {
    expect(both.attempts).toEqual([attempt('a'), attempt('b')]);
    const [a, b] = sent(sent(both, 'a', first), 'a', later).attempts;
    expect([a?.sentAt, b?.sentAt]).toEqual([first.toISOString(), null]);
  });

  it('when one is mined, then the others are replaced, each told once; when its block is gone, all are unsent', () => {
    const done = mined(sent(signed(both, attempt('a')), 'a', first), at);
    expect(replacedHashes(done)).toEqual(['a']);
    expect(replacedHashes(both)).toEqual([]);
    const again = dropped(done);
    expect(again).toEqual({ batchId: 7, attempts: ['a', 'b', 'a'].map(attempt), mined: null });
  });
});

describe('sums of usage', () => {
  const sum = (key: string | null, units: number, count = 1): UsageSum => {
    return { key, count, milliseconds: BigInt(units), unitMilliseconds: BigInt(units) };
  };
  const page = (by: Grouping, after?: UsageSum, limit = 10) =>
    pageOfSums([sum('b', 5), sum(null, 5), sum('a', 5), sum('c', 9), sum('d', 1)], by, { limit, after }).map(
      ({ key }) => key,
    );

  it('when time is counted, then from start to end, and none where a clock went backwards', () => {
    const [startedAt, endedAt] = ['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:01.250Z'];
    expect(millisecondsOf({ startedAt, endedAt })).toBe(1_250n);
    expect(millisecondsOf({ startedAt: endedAt, endedAt: startedAt })).toBe(0n);
    expect([0n, 7n, 1_250n, 3_800_050n].map(secondsText)).toEqual(['0.000', '0.007', '1.250', '3800.050']);
  });

  it('when parts are added up, then group by group', () => {
    const total = new Map<string | null, UsageSum>();
    addUp(total, [sum('a', 1), sum(null, 2)]);
    addUp(total, [sum('a', 10, 3), sum('b', 4)]);
    expect([...total]).toEqual([
      ['a', sum('a', 11, 4)],
      [null, sum(null, 2)],
      ['b', sum('b', 4)],
    ]);
  });

  it('when groups are listed, then most first and then by key, days and months by time alone', () => {
    expect(page('user')).toEqual(['c', null, 'a', 'b', 'd']);
    expect(page('day')).toEqual([null, 'a', 'b', 'c', 'd']);
    expect(page('month')).toEqual([null, 'a', 'b', 'c', 'd']);
  });

  it('when a page goes on, then behind the last one', () => {
    expect(page('user', undefined, 2)).toEqual(['c', null]);
    expect(page('user', sum(null, 5), 2)).toEqual(['a', 'b']);
    expect(page('user', sum('b', 5))).toEqual(['d']);
    expect(page('day', sum('b', 5))).toEqual(['c', 'd']);
  });
});

describe('what no record can be made of', () => {
  const NOW = new Date('2026-11-24T10:00:00.000Z');
  const fault = (data: Parameters<typeof taskStopped>[0]) => {
    const event = taskStopped(data);
    return faultOf(event, usageRecordOf(event)!, NOW);
  };

  it('when times and texts are just within what can be, then it can', () => {
    const times = { startTime: '2000-01-01T00:00:00.000Z', stopTime: '2026-11-25T10:00:00.000Z' };
    expect(fault(times)).toBeNull();
    expect(fault({ ...times, startTime: times.stopTime })).toBeNull();
    expect(fault({ serviceType: 'x'.repeat(200) })).toBeNull();
  });

  it('when both times are out of reason, or one, then it cannot', () => {
    expect(fault({ startTime: '1999-12-31T23:59:59.999Z' })).toContain('year 2000');
    expect(fault({ stopTime: '1999-12-31T23:59:59.999Z' })).toContain('year 2000');
    expect(fault({ startTime: '2026-11-25T10:00:00.001Z' })).toContain('day in the future');
  });

  it('when who sent it has too long a name, then it cannot', () => {
    const event = allocationReleased();
    const loud = { ...event, source: 'x'.repeat(201) };
    expect(faultOf(loud, usageRecordOf(event)!, NOW)).toContain('200 characters');
  });
});
