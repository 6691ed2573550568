// One container of a bundle as the archive that checkpointctl, CRI-O and containerd read (kubernetes.md 6).
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { pack, type Pack } from 'tar-stream';
import { TaskFailure } from '../task-failure.ts';
import type { Directory } from './directory.ts';
import { CONTAINER_FILES, isContainerFolder } from './layout.ts';

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
const CHUNK_BYTES = 1 << 20;

/**
 * Writes the archive of `container` to `output`, and ends it. Verify the bundle first: nothing is checked here.
 *
 * @throws TaskFailure BundleMissing when the bundle holds no such container
 */
export async function exportContainer(
  bundle: Directory,
  container: string,
  output: Writable,
): Promise<void> {
  if (!isContainerFolder(container) || (await bundle.find(container)) === undefined) {
    throw new TaskFailure('BundleMissing', `${bundle.label} holds no container ${container}`);
  }
  await using folder = await bundle.directory(container);
  const archive = pack();
  // Both sides move at once: whatever fails first is the reason.
  await Promise.all([pipeline(archive as unknown as Readable, output), addAll(archive, folder)]);
}

async function addAll(archive: Pack, folder: Directory): Promise<void> {
  try {
    for (const { name } of (await folder.entries()).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (name === CONTAINER_FILES.images) {
        await addImages(archive, folder);
      } else {
        await addFile(archive, folder, name, name);
      }
    }
    archive.finalize();
  } catch (error) {
    archive.destroy(error as Error);
    throw error;
  }
}

async function addImages(archive: Pack, folder: Directory): Promise<void> {
  await using images = await folder.directory(CONTAINER_FILES.images);
  await addFolder(archive, images, `${CONTAINER_FILES.images}/`);
}

/** The readers want an entry for the directory itself. Within may lie one of pages that were copied before the freeze. */
async function addFolder(archive: Pack, folder: Directory, prefix: string): Promise<void> {
  archive.entry({ name: prefix, type: 'directory', mode: FOLDER_MODE });
  for (const entry of await folder.entries()) {
    const { name } = entry;
    if (entry.isDirectory()) {
      await using within = await folder.directory(name);
      await addFolder(archive, within, `${prefix}${name}/`);
    } else {
      await addFile(archive, folder, name, `${prefix}${name}`);
    }
  }
}

async function addFile(
  archive: Pack,
  folder: Directory,
  name: string,
  entryName: string,
): Promise<void> {
  const handle = await folder.openForReading(name);
  try {
    const { size, mtime } = await folder.on(() => handle.stat());
    const header = { name: entryName, size, mtime, mode: FILE_MODE, type: 'file' } as const;
    // A stream of streamx: the same to write to, another type.
    const entry = archive.entry(header) as unknown as Writable;
    const ended = finished(entry);
    const buffer = Buffer.allocUnsafe(Math.min(size, CHUNK_BYTES));
    for (let at = 0; at < size; ) {
      const { bytesRead } = await folder.on(() => handle.read(buffer, 0, buffer.length, at));
      if (bytesRead === 0) {
        throw new TaskFailure('BundleCorrupt', `${folder.label}/${name} became shorter`);
      }
      at += bytesRead;
      // The archive keeps what it is given until it is written: the buffer is used again.
      if (!entry.write(Buffer.from(buffer.subarray(0, bytesRead)))) {
        await once(entry, 'drain');
      }
    }
    entry.end();
    await ended;
  } finally {
    await folder.closeFile(handle);
  }
}
