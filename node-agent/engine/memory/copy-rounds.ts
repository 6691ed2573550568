// How often pages are copied before the freeze. Pure.

/** Less is copied in the freeze within a millisecond. */
const LITTLE_BYTES = 1 << 19;
const MOST_ROUNDS = 8;
/** A round must leave so much less than the one before, or the process writes as fast as we copy. */
const SHRINKS_TO = 0.75;
/** What is written to while a round is under way needs room as well. */
const SHARE_OF_ROOM = 0.8;
/** Of what was written to before a round, for what follows it and the freeze. */
const FAULT_IN_FACTOR = 1.5;
const FAULT_IN_LEAST_BYTES = 8 << 20;

export interface RoundState {
  /** from 1 on */
  readonly round: number;
  /** copied by the round before, infinite for the first */
  readonly lastBytes: number;
  /** written to since */
  readonly bytes: number;
  /** memory that is left for copies */
  readonly roomBytes: number;
}

export function isAnotherRoundWorthIt({ round, lastBytes, bytes, roomBytes }: RoundState): boolean {
  if (round > MOST_ROUNDS || bytes <= LITTLE_BYTES) return false;
  return bytes < lastBytes * SHRINKS_TO && bytes < roomBytes * SHARE_OF_ROOM;
}

/** Memory for copies that should be there before they are made. */
export const roomToFaultIn = (writtenBytes: number): number =>
  FAULT_IN_LEAST_BYTES + writtenBytes * FAULT_IN_FACTOR;
