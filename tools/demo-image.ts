import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { Failure } from './failure';
import { root } from './instance';

const SOURCES_LABEL = 'resource-manager.sources';

/** The image of the service type `demo`. */
export function ensureDemoImage(docker: Docker): Promise<'there' | 'built'> {
  const folder = path.join(root, 'deploy', 'images', 'demo');
  return ensureGoImage(docker, { tag: 'resource-manager/demo:1', folder, program: 'demo' });
}

/**
 * Builds an image from a Go program and a Dockerfile in `folder` when the engine has none, or one from other sources. The
 * program is compiled here and the image is that one file, so no registry is asked for anything.
 */
export function ensureGoImage(
  docker: Docker,
  { tag, folder, program }: { tag: string; folder: string; program: string },
): Promise<'there' | 'built'> {
  const fill = async (context: string): Promise<void> => {
    const { Arch } = await docker.version();
    const build = ['build', '-trimpath', '-ldflags', '-s -w', '-o', path.join(context, program), '.'];
    const compiling = promisify(execFile)('go', build, {
      cwd: folder,
      env: { ...process.env, CGO_ENABLED: '0', GOOS: 'linux', GOARCH: Arch, GOFLAGS: '' },
    });
    const abandon = (): boolean => compiling.child.kill();
    process.once('exit', abandon);
    await compiling.finally(() => process.off('exit', abandon));
    fs.copyFileSync(path.join(folder, 'Dockerfile'), path.join(context, 'Dockerfile'));
  };
  return ensureImage(docker, { tag, sources: hashOf(folder), fill });
}

/** Whether the engine has this image, made from these sources. */
export async function hasImage(docker: Docker, tag: string, sources: string): Promise<boolean> {
  const present = await docker.listImages({ filters: JSON.stringify({ reference: [tag] }) });
  return present.some((image) => image.Labels?.[SOURCES_LABEL] === sources);
}

/** Builds an image from what `fill` puts into a folder, unless the engine has one from the same `sources`. */
export async function ensureImage(
  docker: Docker,
  { tag, sources, fill }: { tag: string; sources: string; fill: (context: string) => Promise<void> },
): Promise<'there' | 'built'> {
  if (await hasImage(docker, tag, sources)) return 'there';
  const context = fs.mkdtempSync(path.join(os.tmpdir(), 'resource-manager-image-'));
  try {
    await fill(context);
    const stream = await docker.buildImage(
      { context, src: fs.readdirSync(context) },
      { t: tag, labels: { [SOURCES_LABEL]: sources }, forcerm: true },
    );
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(stream, (error: Error | null, output: { error?: string }[]) => {
        const failed = error?.message ?? output.find((line) => line.error)?.error;
        if (failed) reject(new Failure(`The image ${tag} could not be built: ${failed}`));
        else resolve();
      });
    });
    return 'built';
  } finally {
    fs.rmSync(context, { recursive: true, force: true });
  }
}

/** Of the files in a folder: their names and what is in them. */
export function hashOf(directory: string): string {
  const hash = createHash('sha256');
  for (const name of fs.readdirSync(directory).sort()) {
    hash.update(`${name}\0`).update(fs.readFileSync(path.join(directory, name)));
  }
  return hash.digest('hex').slice(0, 16);
}
