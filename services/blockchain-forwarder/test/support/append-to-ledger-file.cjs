/**
 * A process that appends the batches of a ledger to a file by the sink `file`, and says of each when it is delivered:
 * node append-to-ledger-file.cjs LEDGER.json FILE FROM. Every write is cut short, as a disk may do, so that a kill often
 * comes in the middle of a batch.
 */
const { readFileSync } = require('node:fs');
const { open } = require('node:fs/promises');
const { argv, stdout } = require('node:process');
const { setTimeout } = require('node:timers/promises');
const { transformSync } = require('@swc/core');

const MAX_WRITE = 1_500;

require.extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    filename,
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    // canonicalize is an ES module: import() stays as it is
    module: { type: 'commonjs', ignoreDynamic: true },
  });
  module._compile(code, filename);
};
const { FileLedgerSink } = require('../../adapters/sinks/file.ts');

async function openSlowly(...given) {
  const file = await open(...given);
  const write = file.write.bind(file);
  file.write = (bytes, offset, length, position) => write(bytes, offset, Math.min(length, MAX_WRITE), position);
  return file;
}

async function run([ledgerFile, path, from]) {
  const ledger = JSON.parse(readFileSync(ledgerFile, 'utf8'));
  const sink = new FileLedgerSink(path, openSlowly);
  const records = async (batchId) => ledger[batchId - 1].records;
  stdout.write('ready\n');
  for (let first = Number(from); first <= ledger.length;) {
    const open = ledger
      .slice(first - 1, first - 1 + sink.window)
      .map(({ batch }) => ({ batch, stage: 'pending', progress: null }));
    const { advances, trouble } = await sink.step(open, { now: new Date(), records });
    if (trouble) throw new Error(trouble.error);
    for (const { batchId, progress } of advances) {
      stdout.write(`${JSON.stringify({ batchId, ...progress })}\n`);
      first = batchId + 1;
    }
    // so that whoever kills it comes in time, however busy the machine is
    await setTimeout(10);
  }
}

void run(argv.slice(2));
