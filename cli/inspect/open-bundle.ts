// Finds out what a path is (bundle, container's folder, images directory, archive) and reads it.
import { existsSync } from 'node:fs';
import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { CONTAINER_FILES, MANIFEST_FILE } from '../../node-agent/bundle/layout.ts';
import {
  bundleBytes,
  decodeManifest,
  type Manifest,
  manifestDigest,
} from '../../node-agent/bundle/manifest.ts';
import { IMAGES } from '../../node-agent/engine/image/image-files.ts';
import { ImageReader } from '../../node-agent/engine/image/reader.ts';
import { CliError } from '../cli-error.ts';
import { unpackArchive } from './archive.ts';
import type { ContainerFacts, FileSize } from './facts.ts';
import { readProcesses } from './read-images.ts';

export interface BundleFacts {
  readonly path: string;
  readonly kind: 'bundle' | 'container' | 'images' | 'archive';
  /** of bundles only */
  readonly digest?: string;
  readonly manifest?: Omit<Manifest, 'files'> & { readonly bytes: number };
  readonly containers: readonly ContainerFacts[];
}

const INVENTORY = IMAGES.inventory.file;

/** @throws CliError when it is nothing of the kind; ImageError, TaskFailure for damaged ones */
export async function readBundle(path: string): Promise<BundleFacts> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined) {
    throw new CliError(
      `${path}: there is no such file or directory`,
      'name a bundle directory, an images directory or the archive of a container',
    );
  }
  if (stats.isFile()) {
    await using archive = await unpackArchive(path);
    const container = await readContainer(archive.name, archive.imagesPath, archive.files);
    return { path, kind: 'archive', containers: [container] };
  }
  if (existsSync(join(path, MANIFEST_FILE))) {
    return await readWholeBundle(path);
  }
  if (existsSync(join(path, CONTAINER_FILES.images, INVENTORY))) {
    return { path, kind: 'container', containers: [await readFolder(path)] };
  }
  if (existsSync(join(path, INVENTORY))) {
    const container = await readContainer(basename(resolve(path)), path, await sizes(path));
    return { path, kind: 'images', containers: [container] };
  }
  throw new CliError(
    `${path} is neither a bundle (no ${MANIFEST_FILE}) nor an images directory (no ${INVENTORY})`,
    'a Checkpoint tells the path of its bundle on the volume: kubectl get chk NAME -o jsonpath={.status.bundle.path}',
  );
}

async function readWholeBundle(path: string): Promise<BundleFacts> {
  const text = await readFile(join(path, MANIFEST_FILE), 'utf8');
  const manifest = decodeManifest(text);
  const containers: ContainerFacts[] = [];
  for (const { name } of manifest.containers) {
    containers.push(await readFolder(join(path, name)));
  }
  const { files: _files, ...facts } = manifest;
  return {
    path,
    kind: 'bundle',
    digest: manifestDigest(text),
    manifest: { ...facts, bytes: bundleBytes(manifest) },
    containers,
  };
}

async function readFolder(path: string): Promise<ContainerFacts> {
  const images = join(path, CONTAINER_FILES.images);
  return await readContainer(basename(resolve(path)), images, await sizes(path));
}

async function readContainer(
  container: string,
  imagesPath: string,
  files: readonly FileSize[],
): Promise<ContainerFacts> {
  using images = new ImageReader(imagesPath);
  return {
    container,
    processes: readProcesses(images),
    files: files.toSorted((a, b) => b.bytes - a.bytes || (a.file < b.file ? -1 : 1)),
  };
}

async function sizes(path: string): Promise<readonly FileSize[]> {
  const names = await readdir(path, { recursive: true });
  const found = await Promise.all(
    names.map(async (file) => {
      const stats = await lstat(join(path, file));
      return stats.isFile() ? [{ file, bytes: stats.size }] : [];
    }),
  );
  return found.flat();
}
