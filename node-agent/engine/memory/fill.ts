// Saved pages into the memory of a stopped process.
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import { allocate, syscall } from '../linux/ffi.ts';
import { sizeOf, type Span } from './address-space.ts';
import type { InheritedPages, PlacedPages } from './inherited-pages.ts';
import { type PageBatch, readBatches, type SavedRun } from './saved-pages.ts';

const IOVEC_BYTES = 16;
/** Pages of one batch; also the kernel's IOV_MAX */
const MAX_PIECES = 1024;
/** Theirs and ours; the same for all processes of a tree. */
const vectors = allocate(2 * MAX_PIECES * IOVEC_BYTES);

/**
 * Writes runs to their addresses; the process may write there.
 *
 * @param progress told after every step, bytes of that step
 * @param inherited what of it is there already
 */
export function fillPages(
  pid: number,
  runs: readonly SavedRun[],
  progress: (bytes: number) => void,
  inherited?: InheritedPages,
): void {
  for (const batch of readBatches(runs)) {
    write(pid, inherited?.changed(batch) ?? wholeBatch(batch));
    progress(batch.length);
  }
}

function wholeBatch({ address, pieces }: PageBatch): PlacedPages[] {
  let from = address;
  return pieces.map(({ start, end }) => {
    const placed = { start, end, from };
    from += end - start;
    return placed;
  });
}

function write(pid: number, pieces: readonly PlacedPages[]): void {
  if (pieces.length === 0) return;
  const { words, address } = vectors;
  let length = 0;
  pieces.forEach((piece, i) => {
    const bytes = sizeOf(piece);
    words.set([piece.from, bytes], 2 * i);
    words.set([piece.start, bytes], 2 * (MAX_PIECES + i));
    length += Number(bytes);
  });
  const remote = address + BigInt(MAX_PIECES * IOVEC_BYTES);
  const call = [pid, address, pieces.length, remote, pieces.length, 0] as const;
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
