import { createPrivateKey, createPublicKey, hash, type JsonWebKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ed25519Keys, type Ed25519Jwk } from '../../domain/check-signature';
import { publicJwk, type SigningKey } from '../../domain/receipt-signature';
import { unavailable } from '../../../../shared/errors';
import { ConfigError } from '../../../../shared/process/config';
import type { ReceiptKeys } from '../../ports/receipt-keys';
import { KeyUnavailable, KeyUnusable, shownReference, type KeyReference } from './reference';
import { readSecret, type SecretSources } from './secret-text';

/** RFC 8410: what stands before the 32 bytes of an Ed25519 key in PKCS #8. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * The keys of receipts as configured. One in Dapr's secret store is read when it is needed first: the sidecar may not be
 * there yet.
 * @throws ConfigError with the cure
 */
export async function receiptKeys(
  config: { LEDGER_SIGNING_KEY?: KeyReference | undefined; LEDGER_RETIRED_KEYS?: string | undefined },
  sources: SecretSources,
): Promise<ReceiptKeys> {
  const { LEDGER_SIGNING_KEY: reference, LEDGER_RETIRED_KEYS: path } = config;
  let key: SigningKey | undefined;
  const signing = async (): Promise<SigningKey | undefined> => {
    if (reference === undefined) return undefined;
    key ??= await loadSigningKey(reference, sources);
    return key;
  };
  try {
    const retired = path === undefined ? [] : await loadRetiredKeys(path);
    if (reference?.kind !== 'dapr') await signing();
    return {
      signing: () => signing().catch(unavailableKey),
      published: async () => {
        const current = await signing().catch(unavailableKey);
        return [...(current ? [publicJwk(current)] : []), ...retired];
      },
    };
  } catch (error) {
    if (error instanceof KeyUnusable) throw new ConfigError([`LEDGER_SIGNING_KEY: ${error.message}`]);
    throw error;
  }
}

function unavailableKey(error: unknown): never {
  if (error instanceof KeyUnavailable || error instanceof KeyUnusable)
    throw unavailable('ledger.key_unavailable', 'The key of receipts cannot be read now; try again shortly.', error);
  throw error;
}

/**
 * The key that receipts are signed with: PKCS #8 as PEM, a JWK, or the seed as 64 hexadecimal digits. Its name is its
 * thumbprint (RFC 7638), so two keys never have one name.
 * @throws KeyUnusable with the cure @throws KeyUnavailable
 */
export async function loadSigningKey(reference: KeyReference, sources: SecretSources): Promise<SigningKey> {
  if (reference.kind === 'rpc')
    throw new KeyUnusable('receipts are not signed by an external signer; name a key by env:, file: or dapr:');
  const privateKey = privateKeyOf(await readSecret(reference, sources));
  if (privateKey?.asymmetricKeyType !== 'ed25519') {
    throw new KeyUnusable(
      `${shownReference(reference)} holds no private Ed25519 key: it is a PEM (PKCS #8), a JWK, or 64 hexadecimal digits`,
    );
  }
  return { kid: thumbprint(privateKey), privateKey };
}

function privateKeyOf(text: string): KeyObject | undefined {
  // the messages of what fails here may hold the key
  try {
    if (text.startsWith('{')) return createPrivateKey({ key: JSON.parse(text) as JsonWebKey, format: 'jwk' });
    const [, seed] = /^(?:0x)?([0-9a-fA-F]{64})$/.exec(text) ?? [];
    if (seed === undefined) return createPrivateKey(text);
    const key = Buffer.concat([PKCS8_PREFIX, Buffer.from(seed, 'hex')]);
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  } catch {
    return undefined;
  }
}

function thumbprint(privateKey: KeyObject): string {
  const { crv, kty, x } = createPublicKey(privateKey).export({ format: 'jwk' });
  return hash('sha256', JSON.stringify({ crv, kty, x }), 'base64url');
}

/**
 * Public keys that signed older receipts, of a file with a JWK set: they stay listed, else those receipts could not be
 * checked any more.
 * @throws KeyUnusable with the cure
 */
export async function loadRetiredKeys(path: string): Promise<Ed25519Jwk[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new KeyUnusable(`the retired keys in ${path} cannot be read (${error.code}); set LEDGER_RETIRED_KEYS`);
  });
  const set = jsonOf(text);
  const keys = publicKeysOf(set);
  if (!keys) throw new KeyUnusable(`${path} is no JWK set; set LEDGER_RETIRED_KEYS to one, or to nothing`);
  if (holdsPrivate(set))
    throw new KeyUnusable(`${path} holds a private key, and what is in it is published; leave only public ones there`);
  return keys;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function publicKeysOf(set: unknown): Ed25519Jwk[] | undefined {
  try {
    return ed25519Keys(set);
  } catch {
    return undefined;
  }
}

function holdsPrivate(set: unknown): boolean {
  return (set as { keys: object[] }).keys.some((key) => 'd' in key);
}
