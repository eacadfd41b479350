import { ed25519Keys } from '../../../services/blockchain-forwarder/domain/check-signature';
import type { Receipt } from '../../../services/blockchain-forwarder/domain/receipt';
import type { Chain } from './chain';
import type { Ledger } from './ledger';

const TICK_MS = 100;
const LOOK_MS = 50;

/** Publishes at a steady rate for so long, and follows each event to the moment when the ledger says `mined`. */
export async function toMined(ledger: Ledger, rate: number, seconds: number): Promise<number[]> {
  const publishedAt: number[] = [];
  const minedAt = new Map<number, { count: number; at: number }>();
  let over = false;
  const watch = (async () => {
    while (!over) {
      for (const { batchId, count } of await ledger.mined()) {
        if (!minedAt.has(batchId)) minedAt.set(batchId, { count, at: performance.now() });
      }
      await pause(LOOK_MS);
    }
  })();
  const before = ledger.published;
  const began = performance.now();
  const bundle = (rate * TICK_MS) / 1000;
  for (let tick = 0; tick < (seconds * 1000) / TICK_MS; tick += 1) {
    await pause(began + tick * TICK_MS - performance.now());
    publishedAt.push(...Array.from({ length: bundle }, () => performance.now()));
    await ledger.publish(bundle);
  }
  await ledger.untilMined(ledger.published);
  await pause(4 * LOOK_MS);
  over = true;
  await watch;
  // one forwarder takes bundles one after the other: the ledger's order is the order of publishing
  const batches = [...minedAt].sort(([a], [b]) => a - b).map(([, batch]) => batch);
  const arrivals = batches.flatMap(({ count, at }) => Array.from({ length: count }, () => at)).slice(before);
  if (arrivals.length !== publishedAt.length) throw new Error('not every event was mined');
  return publishedAt.map((at, index) => (arrivals[index] ?? Number.NaN) - at).sort((a, b) => a - b);
}

/** What a record's place in a full batch costs its reader and the chain: real receipts, and the gas of their transactions. */
export async function receiptsOf(ledger: Ledger, chain: Chain, size: number, samples: number) {
  const batches = (await ledger.mined()).filter(({ count }) => count === size).slice(-samples);
  if (batches.length === 0) throw new Error(`no batch of ${size} records was mined`);
  const { url } = ledger.system.services['blockchain-forwarder']!;
  const headers = { authorization: `Bearer ${ledger.system.tokens.admin}` };
  const receipts: { text: string; gas: number }[] = [];
  for (const { batchId } of batches) {
    const [id] = await ledger.idsOf(batchId);
    const answer = await fetch(`${url}/api/usage/${id}/receipt`, { headers });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`receipt of ${id}: ${answer.status} ${text}`);
    const { transaction } = JSON.parse(text) as Receipt;
    const hash = `0x${Buffer.from(transaction, 'base64url').toString('hex')}`;
    const { gasUsed } = (await chain.call('eth_getTransactionReceipt', [hash])) as { gasUsed: string };
    receipts.push({ text, gas: Number(gasUsed) });
  }
  const keys = ed25519Keys(await (await fetch(`${url}/.well-known/jwks.json`)).json());
  return { receipts, keys };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
