// The container's standard descriptors: pipes to the runtime, which the restored application finds as its new pod's.
import { fcntl } from '../../linux/descriptors.ts';
import { O } from '../../linux/file-facts.ts';
import { POLL, pollNow } from '../../linux/readiness.ts';
import type { Opened } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import type { OpenFile } from './open-file.ts';

const F_DUPFD_CLOEXEC = 1030;
const STANDARD_NUMBERS = 3;

/**
 * Which end of a pipe is held by somebody outside the tree, if any.
 *
 * The kernel knows: a pipe whose other end nobody holds hangs up (reader) or fails (writer). If it does neither though
 * no process of the tree holds that end, an outsider does.
 *
 * @param ends all open files of the pipe in the tree
 */
export function externalEnd(ends: readonly OpenFile[]): 'reading end' | 'writing end' | undefined {
  const reader = ends.find((end) => (end.info.flags & O.ACCMODE) !== O.WRONLY);
  const writer = ends.find((end) => (end.info.flags & O.ACCMODE) !== O.RDONLY);
  if (!reader && writer) {
    return pollNow(writer.duplicate, POLL.OUT) & POLL.ERR ? undefined : 'reading end';
  }
  if (!writer && reader) {
    return pollNow(reader.duplicate, POLL.IN) & POLL.HUP ? undefined : 'writing end';
  }
  return undefined;
}

/** The lowest of the numbers 0, 1 and 2 at which some process of the tree has this pipe. */
export function standardNumber(ends: readonly OpenFile[]): number | undefined {
  const numbers = ends.flatMap((end) => end.holders.map((holder) => holder.fd));
  const lowest = Math.min(...numbers);
  return lowest < STANDARD_NUMBERS ? lowest : undefined;
}

/** Takes the placeholder's own standard descriptor; in a standalone birth the engine's. */
export function openStandard(number: number, opening: FileOpening): Opened {
  const { root } = opening;
  if (root.birth === 'standalone') return () => fcntl(number, F_DUPFD_CLOEXEC, STANDARD_NUMBERS);
  return () => opening.pull(root, number);
}
