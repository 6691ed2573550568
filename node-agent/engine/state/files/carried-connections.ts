// Connections to other pods and machines that a rewind takes from the program that ends over to the one that comes back: the very
// sockets, held by the placeholder in between. No packet is dropped, and nobody outside notices.
import { type Finding, refusal } from '../../finding.ts';
import type { InetSkEntry, PositionEntry } from '../../image/messages/sockets.ts';
import { closeFd } from '../../linux/descriptors.ts';
import { cookieOf, tcpSocketsOf } from '../../linux/tcp-sockets.ts';
import type { SavedFiles } from './saved-files.ts';
import { connectionOf, connectionText } from './tcp-pairs.ts';

/** More are never carried: each is a descriptor of the engine's. */
export const MOST_CARRIED = 4096;

/** A saved connection that only its running pod has. */
export type CarriedEntry = InetSkEntry & { readonly position: PositionEntry };

const isCarried = (isk: InetSkEntry | undefined): isk is CarriedEntry =>
  isk?.position !== undefined;

export const carriedEntries = (saved: SavedFiles): CarriedEntry[] =>
  [...saved.entries.values()].map(({ isk }) => isk).filter(isCarried);

/** What a placeholder holds, taken before it executes the saved program and closes them. */
export class CarriedConnections implements Disposable {
  readonly #fds = new Map<bigint, number>();

  /** @param placeholderPid absent: none */
  constructor(placeholderPid?: number) {
    if (placeholderPid === undefined) return;
    for (const { fd } of tcpSocketsOf(placeholderPid, MOST_CARRIED))
      this.#fds.set(cookieOf(fd), fd);
  }

  has({ position }: CarriedEntry): boolean {
    return this.#fds.has(position.cookie);
  }

  /** The caller's from here on; undefined for one that did not go on. */
  take({ position }: CarriedEntry): number | undefined {
    const fd = this.#fds.get(position.cookie);
    this.#fds.delete(position.cookie);
    return fd;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds.values()) closeFd(fd);
    this.#fds.clear();
  }
}

/**
 * Before the first change of a restore.
 *
 * @param rewoundPid placeholder that a rewind left; absent: a new pod, which has none of them
 */
export function checkCarried(saved: SavedFiles, rewoundPid?: number): Finding[] {
  const entries = carriedEntries(saved);
  if (entries.length === 0) return [];
  using held = new CarriedConnections(rewoundPid);
  return entries
    .filter((entry) => !held.has(entry))
    .map((entry) => {
      const object = `connection ${connectionText(connectionOf(entry))}`;
      if (rewoundPid === undefined) return refusal('TcpLeavesPod', 0, object, ELSEWHERE);
      return { ...refusal('ConnectionEnded', 0, object, ENDED), severity: 'loss' };
    });
}

const ELSEWHERE =
  'its other side is outside of the pod, and it goes on only where the pod still runs: rewind that pod (target.type: InPlace), or save with sockets.established: Close';
const ENDED =
  'one of its sides has ended it since it was saved; the restored application finds it reset';
