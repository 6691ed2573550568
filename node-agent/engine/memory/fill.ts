// Saved pages into the memory of a stopped process.
import { SYS } from '../arch/x86-64.ts';
import type { ImageReader } from '../image/reader.ts';
import { LinuxError } from '../linux/error.ts';
import { allocate, type NativeMemory, release, syscall } from '../linux/ffi.ts';
import { sizeOf, type Span } from './address-space.ts';
import { type PageBatch, readBatches, type SavedPages, type SavedRun } from './saved-pages.ts';

const IOVEC_BYTES = 16;
const MAX_PIECES = 1024;

/**
 * Writes runs to where `place` says; the process may write there.
 *
 * @param progress told after every step, bytes of that step
 */
export function fillPages(
  pid: number,
  source: { readonly images: ImageReader; readonly pages: SavedPages },
  runs: readonly SavedRun[],
  progress: (bytes: number) => void,
): void {
  const vectors = allocate((MAX_PIECES + 1) * IOVEC_BYTES);
  try {
    for (const batch of readBatches(source.images, source.pages, runs)) {
      writeBatch(pid, batch, vectors);
      progress(batch.length);
    }
  } finally {
    release(vectors);
  }
}

function writeBatch(pid: number, { address, length, pieces }: PageBatch, vectors: NativeMemory) {
  const { words } = vectors;
  words[0] = address;
  words[1] = BigInt(length);
  pieces.forEach((piece, i) => {
    words[2 + i * 2] = piece.start;
    words[3 + i * 2] = sizeOf(piece);
  });
  const remote = vectors.address + BigInt(IOVEC_BYTES);
  const call = [pid, vectors.address, 1, remote, pieces.length, 0] as const;
  const written = syscall(SYS.process_vm_writev, ...call);
  if (written === length) return;
  const at = pieceAt(pieces, Math.max(0, written));
  throw new LinuxError('process_vm_writev', written < 0 ? -written : 14, {
    pid,
    object: `0x${at.toString(16)}`,
  });
}

function pieceAt(pieces: readonly Span[], bytes: number): bigint {
  let left = BigInt(bytes);
  for (const piece of pieces) {
    if (left < sizeOf(piece)) return piece.start + left;
    left -= sizeOf(piece);
  }
  return 0n;
}
