// Which connections of the running program may go on in the saved one: those of which the program has read and written
// nothing since. Judged before the first change.
import { type Finding, refusal } from '../finding.ts';
import type { PositionEntry } from '../image/messages/sockets.ts';
import { closeFd } from '../linux/descriptors.ts';
import type { CarriedEntry } from '../state/files/carried-connections.ts';
import { connectionOf, connectionText } from '../state/files/tcp-pairs.ts';
import { FdChannel } from '../tracee/fd-channel.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { OpenConnections } from './connections.ts';

/** The placeholder has standard descriptors only. */
const FIRST_FREE = 3;

/**
 * Pure. A connection that has ended meanwhile is no objection: its end comes back reset.
 *
 * @param saved   of the images
 * @param present of the running program, by SO_COOKIE
 */
export function judgeCarried(
  saved: readonly CarriedEntry[],
  present: ReadonlyMap<bigint, PositionEntry>,
): Finding[] {
  return saved.flatMap((entry) => {
    const { position } = entry;
    const now = present.get(position.cookie);
    if (!now) return [];
    const [written, read] = [now.written - position.written, now.read - position.read];
    if (written === 0n && read === 0n) return [];
    const object = `connection ${connectionText(connectionOf(entry))}`;
    const facts = `since it was saved the program has written ${written} and read ${read} bytes, which its other side cannot take back`;
    return refusal(
      'ConnectionMoved',
      0,
      object,
      `${facts}: end the connection first, or restore another Checkpoint`,
    );
  });
}

/**
 * Gives the placeholder what it holds until the saved program is there.
 *
 * @param cookies of the connections that the saved tree goes on with; one that has ended is in none of the processes
 */
export function carry(
  placeholder: TracedProcess,
  connections: OpenConnections,
  cookies: ReadonlySet<bigint>,
): void {
  // One that has ended since it was judged comes back reset.
  const fds = connections.take(new Set(connections.positions(cookies).keys()));
  if (fds.length === 0) return;
  try {
    const channel = FdChannel.open(placeholder, FIRST_FREE);
    channel.push(fds);
    channel.close();
  } finally {
    for (const fd of fds) closeFd(fd);
  }
}
