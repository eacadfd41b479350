/** Where a key is. The key itself stands in no configuration. */
export type KeyReference =
  | { kind: 'env'; name: string }
  | { kind: 'file'; path: string }
  | { kind: 'dapr'; store: string; name: string }
  /** A signer that keeps its key and signs what it is given: eth_signTransaction. */
  | { kind: 'rpc'; url: string; address: string };

/** The key is not to be had as configured: only changing the configuration, or what it names, helps. */
export class KeyUnusable extends Error {}

/** The key cannot be reached now. */
export class KeyUnavailable extends Error {}

export const REFERENCE_FORMS =
  'env:NAME, file:/path, dapr:STORE/NAME, or rpc:URL#0xADDRESS for a signer that keeps its key';

/** @returns undefined for what is none: it may be a key that was put here by mistake, so it is told to nobody */
export function parseKeyReference(text: string): KeyReference | undefined {
  const [, kind, rest = ''] = /^(env|file|dapr|rpc):(.+)$/.exec(text) ?? [];
  if (kind === 'env') return /^[A-Z_][A-Z0-9_]*$/i.test(rest) ? { kind, name: rest } : undefined;
  if (kind === 'file') return rest.startsWith('/') ? { kind, path: rest } : undefined;
  if (kind === 'dapr') {
    const [, store, name] = /^([\w.-]+)\/([\w.-]+)$/.exec(rest) ?? [];
    return store !== undefined && name !== undefined ? { kind, store, name } : undefined;
  }
  if (kind === 'rpc') {
    const [, url, address] = /^(https?:\/\/\S+)#(0x[0-9a-fA-F]{40})$/.exec(rest) ?? [];
    return url !== undefined && address !== undefined && URL.canParse(url) ? { kind, url, address } : undefined;
  }
  return undefined;
}

/** The reference as a person may see it. */
export function shownReference(reference: KeyReference): string {
  if (reference.kind === 'env') return `the environment variable ${reference.name}`;
  if (reference.kind === 'file') return `the file ${reference.path}`;
  if (reference.kind === 'dapr') return `the secret ${reference.name} of Dapr's secret store ${reference.store}`;
  // a signer's URL may hold a password
  return `the signer of ${reference.address}`;
}
