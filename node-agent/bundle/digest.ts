// sha256 of files, streamed: two buffers, one being read while the other is hashed.
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Directory } from './directory.ts';

const CHUNK_BYTES = 1 << 20;

export interface FileDigest {
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Called with the number of bytes read since the last call. */
export type OnBytes = (bytes: number) => void;

export const sha256Hex = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex');

/** Reads a whole file of `directory`; memory stays at 2 MiB. Aborts between chunks. */
export async function digestFile(
  directory: Directory,
  name: string,
  signal: AbortSignal,
  onBytes?: OnBytes,
): Promise<FileDigest> {
  const handle = await directory.openForReading(name);
  try {
    return await digestHandle(directory, handle, signal, onBytes);
  } finally {
    await directory.closeFile(handle);
  }
}

async function digestHandle(
  directory: Directory,
  handle: FileHandle,
  signal: AbortSignal,
  onBytes?: OnBytes,
): Promise<FileDigest> {
  const hash = createHash('sha256');
  let current = Buffer.allocUnsafe(CHUNK_BYTES);
  let next = Buffer.allocUnsafe(CHUNK_BYTES);
  let sizeBytes = 0;
  const read = (buffer: Buffer, position: number): Promise<number> =>
    directory.on(async () => (await handle.read(buffer, 0, CHUNK_BYTES, position)).bytesRead);
  let bytes = await read(current, 0);
  while (bytes > 0) {
    signal.throwIfAborted();
    sizeBytes += bytes;
    const reading = read(next, sizeBytes);
    // Should hashing throw, this promise must not be left without a listener.
    reading.catch(() => undefined);
    hash.update(current.subarray(0, bytes));
    onBytes?.(bytes);
    bytes = await reading;
    [current, next] = [next, current];
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}
