import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';

const PIECE_BYTES = 64 * 1024;
const PIECE_MS = 10;
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

interface Blob {
  digest: string;
  content: Buffer;
}

/**
 * A registry on loopback, which Docker talks to without TLS: the pulling half of the OCI distribution API, slowly.
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
export class SlowRegistry {
  /** Blobs asked for, in order. */
  readonly downloads: string[] = [];
  private readonly manifests = new Map<string, Blob>();
  private readonly blobs = new Map<string, Blob>();
  private readonly silent = new Set<string>();
  private readonly server = http.createServer((request, response) => void this.answer(request.url ?? '', response));

  async start(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as net.AddressInfo).port}`;
  }

  /**
   * An image with layers of these sizes, and perhaps one more with a program that it runs. With `silent` it sends the first half of each layer and then nothing until `speak`.
   * @returns its name
   */
  publish(
    name: string,
    layerBytes: readonly number[],
    { silent = false, program }: { silent?: boolean; program?: { tar: Buffer; path: string } } = {},
  ): string {
    const files = layerBytes.map((size) => tarOf(`file-${randomBytes(4).toString('hex')}`, randomBytes(size)));
    const layers = [...files, ...(program ? [program.tar] : [])].map((tar) => this.keep(tar));
    const config = this.keep(
      Buffer.from(
        JSON.stringify({
          architecture: process.arch === 'x64' ? 'amd64' : process.arch,
          os: 'linux',
          config: program ? { Entrypoint: [program.path], User: '65532:65532' } : {},
          rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
        }),
      ),
    );
    const describe = (blob: Blob, mediaType: string) => ({ mediaType, digest: blob.digest, size: blob.content.length });
    const manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: describe(config, 'application/vnd.oci.image.config.v1+json'),
      layers: layers.map((layer) => describe(layer, 'application/vnd.oci.image.layer.v1.tar')),
    };
    this.manifests.set(name, blobOf(Buffer.from(JSON.stringify(manifest))));
    if (silent) for (const { digest } of layers) this.silent.add(digest);
    return `${this.host}/${name}:1`;
  }

  /** What fell silent goes on. */
  speak(): void {
    this.silent.clear();
  }

  private keep(content: Buffer): Blob {
    const blob = blobOf(content);
    this.blobs.set(blob.digest, blob);
    return blob;
  }

  private async answer(url: string, response: http.ServerResponse): Promise<void> {
    const [, name, kind, reference] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(url) ?? [];
    if (url === '/v2/') return void response.end();
    if (name === 'refused') return refuse(response, 500, 'UNKNOWN', 'the shelves are being repaired');
    const blob = kind === 'blobs' ? this.blobs.get(reference ?? '') : this.manifests.get(name ?? '');
    if (!blob) return refuse(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown');
    response.setHeader('Docker-Content-Digest', blob.digest);
    response.setHeader('Content-Type', kind === 'manifests' ? MANIFEST_TYPE : 'application/octet-stream');
    response.setHeader('Content-Length', blob.content.length);
    if (kind === 'manifests') return void response.end(response.req.method === 'HEAD' ? undefined : blob.content);
    this.downloads.push(blob.digest);
    await this.send(blob, response);
  }

  private async send({ digest, content }: Blob, response: http.ServerResponse): Promise<void> {
    for (let from = 0; from < content.length && !response.destroyed; from += PIECE_BYTES) {
      while (from > content.length / 2 && this.silent.has(digest) && !response.destroyed) await pause(PIECE_MS);
      response.write(content.subarray(from, from + PIECE_BYTES));
      await pause(PIECE_MS);
    }
    response.end();
  }
}

function refuse(response: http.ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}

function blobOf(content: Buffer): Blob {
  return { digest: `sha256:${createHash('sha256').update(content).digest('hex')}`, content };
}

/** A tar archive (ustar) of one file. */
function tarOf(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        0', 148); // the check sum counts as blanks; then the type, a file
  header.write('ustar\0' + '00', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
