// Folders, image layers and calls of the worker that the tests of this folder share.
import * as fs from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApplyRequest, CollectRequest, RootfsResult } from '../protocol.ts';
import { createRootfsWorker } from '../rootfs-worker.ts';
import type { OverlayContainer } from './overlay-container.ts';

export const signal = new AbortController().signal;
export const worker = createRootfsWorker([
  process.execPath,
  join(import.meta.dirname, '../worker.ts'),
]);
export const EXCLUDE = ['/old', '/etc/hosts', '/proc', '/sys', '/dev'];

export interface Folder extends AsyncDisposable {
  readonly path: string;
  make(name: string): string;
}

export async function makeFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'diapause-rootfs-'));
  return {
    path,
    make(name) {
      fs.mkdirSync(`${path}/${name}`, { recursive: true });
      return `${path}/${name}`;
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** Two image layers; the upper one already deletes something of the lower. */
export function makeLayers(folder: Folder): string[] {
  const bottom = folder.make('bottom');
  const top = folder.make('top');
  for (const name of ['etc', 'data/deep', 'opaque/kept', 'replaced-by-file', 'gone-dir/x', 'usr']) {
    fs.mkdirSync(`${bottom}/${name}`, { recursive: true });
  }
  for (const name of [
    'etc/hosts',
    'etc/passwd',
    'data/changed',
    'data/deleted',
    'data/untouched',
    'opaque/lower-1',
    'opaque/kept/lower-2',
    'replaced-by-file/x',
    'replaced-by-dir',
    'gone-dir/x/y',
    'usr/only-mode',
  ]) {
    fs.writeFileSync(`${bottom}/${name}`, name);
  }
  fs.mkdirSync(`${top}/opaque`);
  fs.writeFileSync(`${top}/opaque/lower-3`, 'top');
  return [top, bottom];
}

export async function collectFrom(
  container: OverlayContainer,
  outputDirectory: string,
  extra: Partial<CollectRequest> = {},
): Promise<RootfsResult> {
  const { upper, lowers, mountNamespace } = container;
  const request = { upper, lowers, mountNamespace, exclude: EXCLUDE, outputDirectory };
  const frozenAtMillis = Date.now() + 60_000;
  return await worker.run(
    { type: 'collect', ...request, frozenAtMillis, maxBytes: 0, ...extra },
    { signal },
  );
}

export async function applyTo(
  container: OverlayContainer,
  inputDirectory: string,
  extra: Partial<ApplyRequest> = {},
): Promise<RootfsResult> {
  const { mountNamespace } = container;
  const request = { mountNamespace, inputDirectory, protect: ['/old', '/etc/hosts'] };
  return await worker.run({ type: 'apply', ...request, ...extra }, { signal });
}
