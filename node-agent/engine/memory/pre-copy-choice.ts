// Whether memory is worth copying before the freeze. Pure.
import type { PreCopy } from '../protocol.ts';
import { LAST_ROOM_BYTES } from './headroom.ts';

/** Below it a snapshot takes 4 ms, and the stop that arms the watch as much. */
const LEAST_BYTES = 256 << 20;
/** Small processes of a large application are left to the freeze. */
const LEAST_OF_PROCESS_BYTES = 16 << 20;
/** Page tables of huge pages that the watch splits: the kernel has set most of them aside, the rest counts as new. */
const SHARE_FOR_TABLES = 1 / 256;

export interface WatchedSize {
  /** resident, of all processes of a tree */
  readonly anonymousBytes: number;
  /** below the tightest memory limit, undefined for none */
  readonly roomBytes: number | undefined;
}

export function isPreCopyWorthIt(
  mode: PreCopy,
  { anonymousBytes, roomBytes }: WatchedSize,
): boolean {
  if (mode === 'never') return false;
  const tables = anonymousBytes * SHARE_FOR_TABLES;
  if (roomBytes !== undefined && roomBytes < LAST_ROOM_BYTES + tables) return false;
  return mode === 'always' || anonymousBytes >= LEAST_BYTES;
}

export const isProcessWorthIt = (mode: PreCopy, anonymousBytes: number): boolean =>
  mode === 'always' || anonymousBytes >= LEAST_OF_PROCESS_BYTES;
