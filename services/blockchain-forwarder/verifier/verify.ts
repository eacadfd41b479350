#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { checkReceipt, checked, unchecked, type Check } from '../domain/check-receipt';
import { parseReceipt, type Receipt } from '../domain/receipt';
import { ed25519Keys, type Ed25519Jwk } from '../domain/receipt-signature';
import { checkAnchor } from './check-anchor';
import { chainAt } from './json-rpc';

/**
 * Says what holds of a receipt, and trusts nothing of the system that made it: it reads the receipt, the keys that it
 * is given, and a chain, and knows no service, database or configuration. docs/receipt.md tells how to use it.
 */

const USAGE = `usage: verify RECEIPT.json [--jwks FILE] [--rpc URL | --root 0x...]
  --jwks  the issuer's public keys (a JWK set), from a source that you trust
  --rpc   JSON-RPC of a node of the chain, best your own
  --root  the anchored root, when you have it from the chain already; nothing else is then looked up`;

export const EXIT = { holds: 0, doesNotHold: 1, notAllChecked: 2, notUnderstood: 64 } as const;

/** The command was not given as it has to be, or a file of it is not as it has to be. */
class NotUnderstood extends Error {}

interface Command {
  receipt: string;
  jwks: string | undefined;
  rpc: string | undefined;
  root: string | undefined;
}

/** @returns the exit code */
export async function verify(args: string[], say: (line: string) => void): Promise<number> {
  try {
    const command = commandOf(args);
    const keys = command.jwks === undefined ? null : keysIn(command.jwks);
    return await judge(textOf(command.receipt), keys, command, say);
  } catch (error) {
    if (!(error instanceof NotUnderstood)) throw error;
    say(printable(error.message));
    return EXIT.notUnderstood;
  }
}

async function judge(json: string, keys: Ed25519Jwk[] | null, command: Command, say: (line: string) => void) {
  let receipt: Receipt;
  try {
    receipt = parseReceipt(json);
  } catch (error) {
    say(printable(`This is no receipt: ${(error as Error).message}`));
    return EXIT.doesNotHold;
  }
  say(`The receipt is for record ${receipt.firstSequence + receipt.leafIndex} of the ledger:`);
  say(printable(JSON.stringify(receipt.record, null, 2)));
  const checks = [...(await checkReceipt(receipt, keys)), ...(await anchorChecks(receipt, command))];
  for (const { what, result, reason } of checks) say(printable(`${result.toUpperCase()}: ${what}\n  (${reason})`));
  return conclusion(checks, say);
}

async function anchorChecks(receipt: Receipt, { rpc, root }: Command): Promise<Check[]> {
  if (rpc !== undefined) return checkAnchor(receipt, chainAt(rpc));
  const what = 'the root is the anchored one';
  if (root === undefined) return [unchecked(what, 'neither --rpc nor --root was given')];
  const fault = receipt.root === root.toLowerCase() ? null : `the receipt has ${receipt.root}, you gave ${root}`;
  return [checked(what, fault, 'it is the one that you gave; contract, transaction and block were not looked up')];
}

function conclusion(checks: Check[], say: (line: string) => void): number {
  if (checks.some(({ result }) => result === 'does not hold')) {
    say('The receipt does NOT hold.');
    return EXIT.doesNotHold;
  }
  if (checks.some(({ result }) => result === 'could not be checked')) {
    say('Nothing speaks against the receipt, but not everything could be checked.');
    return EXIT.notAllChecked;
  }
  say('Everything holds.');
  return EXIT.holds;
}

function commandOf(args: string[]): Command {
  const options = { jwks: { type: 'string' }, rpc: { type: 'string' }, root: { type: 'string' } } as const;
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const [receipt, ...others] = positionals;
    const { jwks, rpc, root } = values;
    if (receipt === undefined || others.length > 0) throw new Error('give one receipt');
    if (rpc !== undefined && root !== undefined) throw new Error('give --rpc or --root, not both');
    if (rpc !== undefined && !/^https?:\/\//.test(rpc)) throw new Error('--rpc has to be a URL of http or https');
    if (root !== undefined && !/^0x[0-9a-f]{64}$/i.test(root)) throw new Error('--root has to be 0x and 64 digits');
    return { receipt, jwks, rpc, root };
  } catch (error) {
    throw new NotUnderstood(`${(error as Error).message}\n${USAGE}`);
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

function keysIn(file: string): Ed25519Jwk[] {
  try {
    return ed25519Keys(JSON.parse(textOf(file)));
  } catch (error) {
    if (error instanceof NotUnderstood) throw error;
    throw new NotUnderstood(`${file} is no JWK set`);
  }
}

/** What steers a terminal, or turns text around, is shown as an escape: the text may be anybody's. */
function printable(text: string): string {
  return text.replace(/[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu, (sign) => `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`);
}

if (require.main === module) {
  void verify(process.argv.slice(2), (line) => process.stdout.write(`${line}\n`)).then((code) => {
    process.exitCode = code;
  });
}
