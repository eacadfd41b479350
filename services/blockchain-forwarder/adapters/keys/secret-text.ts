import { open } from 'node:fs/promises';
import { AppError } from '../../../../shared/errors';
import type { Sidecar } from '../../../../shared/dapr/sidecar';
import { SidecarError } from '../../../../shared/dapr/sidecar-error';
import { KeyUnavailable, KeyUnusable, shownReference, type KeyReference } from './reference';

/** Where secrets come from. */
export interface SecretSources {
  /** An environment variable. */
  variable(name: string): string | undefined;
  /** Says why a key must not be used, without showing it. */
  refused?(key: string): string | undefined;
  sidecar: Pick<Sidecar, 'secret'>;
}

/** References to what can be read; a signer's key cannot. */
export type ReadableReference = Exclude<KeyReference, { kind: 'rpc' }>;

const MAX_BYTES = 10_000;
const OTHERS = 0o077;

/** @throws KeyUnusable with the cure @throws KeyUnavailable while Dapr does not answer */
export async function readSecret(reference: ReadableReference, sources: SecretSources): Promise<string> {
  const text = (await textAt(reference, sources))?.trim();
  if (!text) throw new KeyUnusable(`${shownReference(reference)} is empty or not there; put the key there`);
  const why = sources.refused?.(text);
  if (why !== undefined)
    throw new KeyUnusable(`${shownReference(reference)}: ${why}, which production refuses; put a random one there`);
  return text;
}

async function textAt(reference: ReadableReference, sources: SecretSources): Promise<string | undefined> {
  if (reference.kind === 'env') return sources.variable(reference.name);
  return reference.kind === 'file' ? fileText(reference.path) : daprSecret(reference, sources.sidecar);
}

async function fileText(path: string): Promise<string> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new KeyUnusable(`the file ${path} cannot be read (${error.code}); put the key there`);
  });
  try {
    const { mode, size } = await file.stat();
    if ((mode & OTHERS) !== 0) {
      throw new KeyUnusable(`the file ${path} is open to others than its owner; chmod 600 it, and think of a new key`);
    }
    if (size > MAX_BYTES) throw new KeyUnusable(`the file ${path} is too long for a key`);
    return await file.readFile('utf8').catch((error: NodeJS.ErrnoException) => {
      throw new KeyUnusable(`the file ${path} cannot be read (${error.code}); put the key there`);
    });
  } finally {
    await file.close();
  }
}

async function daprSecret(
  reference: Extract<KeyReference, { kind: 'dapr' }>,
  sidecar: Pick<Sidecar, 'secret'>,
): Promise<string> {
  const { store, name } = reference;
  const secret = await sidecar.secret(store, name).catch((error: unknown) => {
    const status = error instanceof AppError && error.cause instanceof SidecarError ? error.cause.status : undefined;
    // what daprd says of a store that it does not have, and of one that is closed to this app
    if (status === 401 || status === 403)
      throw new KeyUnusable(
        `${shownReference(reference)} is closed to this app, or there is no such store; name another`,
      );
    throw new KeyUnavailable(`${shownReference(reference)} cannot be read now: it is not there, or its store is away`);
  });
  const values = Object.values(secret);
  // a store of secrets with several fields has the key under its name, or alone
  return secret[name] ?? (values.length === 1 ? values[0] : undefined) ?? '';
}
