#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { EXIT, judge, NotUnderstood, printable, type Given } from './judge';

/** The command; docs/receipt.md tells how to use it. */

const USAGE = `usage: verify-receipt RECEIPT.json [--jwks FILE] [--rpc URL | --header FILE [--receipts FILE] | --root 0x...]
  --jwks      the issuer's public keys (a JWK set), from a source that you trust
  --rpc       JSON-RPC of a node of the chain, best your own
  --header    the block's header, from a source that you trust: what eth_getBlockByNumber answers, or RLP in hexadecimal
  --receipts  the block's receipts, from anywhere: what eth_getBlockReceipts answers
  --root      the anchored root, when you have it from the chain already; nothing else is then looked up`;

/** @returns the exit code */
export async function verify(args: string[], say: (line: string) => void): Promise<number> {
  try {
    const { code, conclusion, shown, checks } = await judge(givenBy(args));
    if (shown) say(`The receipt is for record ${shown.sequence} of the ledger:\n${shown.record}`);
    for (const { what, result, reason } of checks) say(`${result.toUpperCase()}: ${what}\n  (${reason})`);
    say(conclusion);
    return code;
  } catch (error) {
    if (!(error instanceof NotUnderstood)) throw error;
    say(`${printable(error.message)}\n${USAGE}`);
    return EXIT.notUnderstood;
  }
}

function givenBy(args: string[]): Given {
  const { receipt, jwks, rpc, root, header, receipts } = optionsIn(args);
  const content = (file: string | undefined): string | null => (file === undefined ? null : textOf(file));
  return {
    receipt: textOf(receipt),
    jwks: content(jwks),
    rpc: rpc ?? null,
    root: root ?? null,
    header: content(header),
    receipts: content(receipts),
  };
}

function optionsIn(args: string[]) {
  const text = { type: 'string' } as const;
  const options = { jwks: text, rpc: text, root: text, header: text, receipts: text };
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const [receipt, ...others] = positionals;
    if (receipt === undefined || others.length > 0) throw new Error('give one receipt');
    return { receipt, ...values };
  } catch (error) {
    throw new NotUnderstood((error as Error).message);
  }
}

function textOf(file: string): string {
  try {
    // bytes that are no UTF-8 are no receipt, and not some other one
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    throw new NotUnderstood(`${file} cannot be read: ${(error as Error).message}`);
  }
}

if (require.main === module) {
  void verify(process.argv.slice(2), (line) => process.stdout.write(`${line}\n`)).then((code) => {
    process.exitCode = code;
  });
}
