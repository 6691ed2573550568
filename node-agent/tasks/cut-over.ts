// When copying has done what it can, and what is left is for the freeze. Pure.
import type { TaskRound } from '../../crds/node-task.ts';

/** Each is a directory within the next one, and a path has so many parts only. */
export const MOST_ROUNDS = 5;
/** Sent within some milliseconds, which nobody would win back by another round. */
const LITTLE_BYTES = 1 << 20;
/** A round must leave so much less than the one before, or the application writes as fast as we send. */
const SHRINKS_TO = 0.75;
/** Of the longest downtime, for what has changed; the rest is for everything else, on both nodes. */
const SHARE_OF_DOWNTIME = 0.5;

export interface CutOverLimits {
  /** undefined: as short as it gets */
  readonly maxDowntimeMillis?: number | undefined;
}

/**
 * Shall the pages that have changed since the last round be copied while the application runs, once more?
 *
 * @param rounds all so far, at least one; their times are those until everything was on the other node
 */
export function isAnotherRoundWorthIt(
  rounds: readonly TaskRound[],
  { maxDowntimeMillis }: CutOverLimits,
): boolean {
  const last = rounds.at(-1);
  if (last === undefined || rounds.length >= MOST_ROUNDS || last.dirtyBytes <= LITTLE_BYTES) {
    return false;
  }
  // Of the first one all pages were dirty before it.
  const before = rounds.at(-2)?.dirtyBytes ?? last.bytes;
  if (last.dirtyBytes > before * SHRINKS_TO) {
    return false;
  }
  return maxDowntimeMillis === undefined || !fits(rounds, last.dirtyBytes, maxDowntimeMillis);
}

function fits(rounds: readonly TaskRound[], bytes: number, maxDowntimeMillis: number): boolean {
  const sentBytes = rounds.reduce((sum, round) => sum + round.bytes, 0);
  const sentMillis = rounds.reduce((sum, round) => sum + round.millis, 0);
  return (bytes * sentMillis) / sentBytes <= maxDowntimeMillis * SHARE_OF_DOWNTIME;
}
