import { startForwarder, type Forwarder } from './support/forwarder';
import { PickySink } from './support/picky-sink';
import { taskStopped } from './support/samples';

let service: Forwarder;
let sink: PickySink;
beforeEach(async () => {
  sink = new PickySink();
  service = await startForwarder([sink]);
});

const PATH = '/api/usage/dead-letters';

type Letter = Record<string, unknown> & { id: string; eventId: string };
async function theLetter(): Promise<Letter> {
  const all = (await service.get(PATH)).body as unknown as Letter[];
  expect(all).toHaveLength(1);
  return all[0]!;
}
const replay = (id: string) => service.post(`${PATH}/${id}/replay`);

describe('the replay of what a sink refused', () => {
  async function refused(): Promise<Letter> {
    const [event, other] = [taskStopped(), taskStopped()];
    sink.refuses.add(event.id);
    await service.deadLetter(event, other);
    await service.advance();
    expect(await theLetter()).toMatchObject({
      reason: 'sink.refused',
      eventId: event.id,
      refusedBy: { sink: 'picky', batchId: 1 },
    });
    return theLetter();
  }
  const triesOf = (id: string) => sink.tried.filter((each) => each === id).length;

  it('when the sink takes it now, then it is tried once more, alone, and has its receipt', async () => {
    const { id, eventId } = await refused();
    sink.refuses.clear();
    expect((await replay(id)).body).toMatchObject({ result: 'reopened', letter: { state: 'replayed' } });
    expect((await service.store.delivery('picky', 1))?.delivery.stage).toBe('pending');
    await service.advance();
    expect((await service.store.delivery('picky', 1))?.delivery.stage).toBe('delivered');
    expect([triesOf(eventId), sink.tried.length]).toEqual([2, 3]);
    expect((await replay(id)).body).toMatchObject({ result: 'known' });
    await service.advance();
    expect(triesOf(eventId)).toBe(2);
  });

  it('when the sink refuses it once more, then the letter is open again', async () => {
    const { id } = await refused();
    await replay(id);
    await service.advance();
    expect(await theLetter()).toMatchObject({ id, state: 'open', handling: [{ result: 'reopened' }] });
  });

  it('when a step of the sink is under way meanwhile, then the reopening is not lost', async () => {
    const { id, eventId } = await refused();
    sink.refuses.clear();
    await service.deadLetter(taskStopped());
    const step = sink.step.bind(sink);
    jest.spyOn(sink, 'step').mockImplementationOnce(async (...given) => {
      const result = await step(...given);
      await replay(id);
      return result;
    });
    await service.advance();
    await service.advance();
    const progress = (await service.store.delivery('picky', 1))?.progress as { taken: string[] };
    expect(progress.taken).toContain(eventId);
    expect(await theLetter()).toMatchObject({ state: 'replayed' });
  });

  it('when two replay it at once, then it is tried once more', async () => {
    const { id, eventId } = await refused();
    sink.refuses.clear();
    const answers = await Promise.all([replay(id), replay(id)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    await service.advance();
    await service.advance();
    expect(triesOf(eventId)).toBe(2);
  });

  it('when the sink is not configured any more, then 409 and nothing changes; of all of them it is one that failed', async () => {
    const { id } = await refused();
    service.sinks.splice(0);
    expect(await replay(id)).toMatchObject({ status: 409, body: { code: 'dead_letter.sink_not_configured' } });
    expect((await service.post(`${PATH}/replay`, { sink: 'picky' })).body).toMatchObject({ replayed: 0, failed: 1 });
    expect(await theLetter()).toMatchObject({ state: 'open', handling: [] });
  });

  it('when it is one of all, then it is reopened as well', async () => {
    const { eventId } = await refused();
    sink.refuses.clear();
    expect((await service.post(`${PATH}/replay`)).body).toMatchObject({ replayed: 1, failed: 0, left: 0 });
    await service.advance();
    expect(triesOf(eventId)).toBe(2);
  });

  it('when the state of the sink is written again and again, then 503, and the letter is as it was', async () => {
    const { id } = await refused();
    jest.spyOn(service.store, 'write').mockResolvedValue(false);
    expect(await replay(id)).toMatchObject({ status: 503, body: { code: 'dead_letter.contended' } });
    expect(await theLetter()).toMatchObject({ state: 'open' });
  });
});
