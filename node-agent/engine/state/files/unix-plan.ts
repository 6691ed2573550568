// How the unix sockets of a tree come to be again: which are pairs, who accepted whom, who waits. Pure.
import { UnixFlag, UnixState } from '../../image/messages/enums.ts';
import type { UnixSkEntry } from '../../image/messages/sockets.ts';
import { decodeText } from '../../image/text.ts';
import { SOCK } from '../../linux/sockets.ts';

export type UnixPlan =
  /** socketpair(2); datagram sockets may have names besides */
  | { readonly kind: 'pair'; readonly a: UnixSkEntry; readonly b: UnixSkEntry }
  /** `server` was accepted from a listener whose name it still shows; without `client` its other side is closed */
  | {
      readonly kind: 'accepted';
      readonly server: UnixSkEntry;
      readonly client: UnixSkEntry | undefined;
    }
  /** one side of a pair whose other side is closed */
  | { readonly kind: 'orphan'; readonly socket: UnixSkEntry }
  /** socket(2), perhaps bound, listening, or connected to a named datagram socket, or waiting to be accepted */
  | { readonly kind: 'single'; readonly socket: UnixSkEntry };

/** A peer that was not saved: only its name is known. */
export const isOutside = ({ uflags }: UnixSkEntry): boolean => (uflags & UnixFlag.EXTERN) !== 0;
export const isNamed = ({ name }: UnixSkEntry): boolean => name.length > 0;
export const isPathNamed = ({ name }: UnixSkEntry): boolean => name.length > 0 && name[0] !== 0;

export const isDeleted = ({ deleted }: UnixSkEntry): boolean => deleted === true;

/** A listener of the same name, deleted like the other; of several with one name nobody can tell which it was. */
export const isListenerOf = (entry: UnixSkEntry, server: UnixSkEntry): boolean =>
  entry.state === UnixState.LISTEN &&
  isDeleted(entry) === isDeleted(server) &&
  Buffer.compare(entry.name, server.name) === 0;

/** Path of a bound socket's file, absolute; undefined for an abstract name or none. */
export function socketPath(entry: UnixSkEntry): string | undefined {
  if (!isPathNamed(entry)) return undefined;
  const end = entry.name.indexOf(0);
  const text = decodeText(end < 0 ? entry.name : entry.name.subarray(0, end));
  return text.startsWith('/') ? text : `${entry.nameDir ?? ''}/${text}`;
}

/**
 * Nobody can connect to an outsider without a name: whose peer it was finds the connection closed.
 *
 * @param all those that were saved, and the outsiders
 */
export function withoutNameless(
  sockets: readonly UnixSkEntry[],
  all: readonly UnixSkEntry[],
): UnixSkEntry[] {
  const nameless = new Set(
    all.filter((other) => isOutside(other) && !isNamed(other)).map(({ ino }) => ino),
  );
  return sockets.map((socket) => (nameless.has(socket.peer) ? { ...socket, peer: 0 } : socket));
}

/** @param hasQueue has this socket something to read? */
export function planUnixSockets(
  entries: readonly UnixSkEntry[],
  hasQueue: (entry: UnixSkEntry) => boolean,
): UnixPlan[] {
  const byIno = new Map(entries.map((entry) => [entry.ino, entry]));
  const listeners = entries.filter(({ state }) => state === UnixState.LISTEN);
  const plans: UnixPlan[] = [];
  const done = new Set<UnixSkEntry>();
  for (const entry of entries) {
    if (done.has(entry)) continue;
    const peer = entry.peer === 0 ? undefined : byIno.get(entry.peer);
    const mutual = peer !== undefined && peer !== entry && peer.peer === entry.ino;
    const plan = mutual ? planMutual(entry, peer, listeners) : planAlone(entry, hasQueue(entry));
    plans.push(plan);
    done.add(entry);
    if (mutual) done.add(peer);
  }
  return plans;
}

function planMutual(a: UnixSkEntry, b: UnixSkEntry, listeners: readonly UnixSkEntry[]): UnixPlan {
  if (a.type === SOCK.DGRAM) return { kind: 'pair', a, b };
  if (!isNamed(a) && !isNamed(b)) return { kind: 'pair', a, b };
  const listens = (name: Uint8Array): boolean =>
    listeners.some((e) => Buffer.compare(e.name, name) === 0);
  const accepted = isNamed(a) && (!isNamed(b) || listens(a.name)) ? a : b;
  return { kind: 'accepted', server: accepted, client: accepted === a ? b : a };
}

function planAlone(socket: UnixSkEntry, hasQueue: boolean): UnixPlan {
  if (socket.type === SOCK.DGRAM) {
    const orphan = !isNamed(socket) && socket.peer === 0 && hasQueue;
    return orphan ? { kind: 'orphan', socket } : { kind: 'single', socket };
  }
  // A stream that waits to be accepted has its listener as peer.
  if (socket.state !== UnixState.ESTABLISHED || socket.peer !== 0) {
    return { kind: 'single', socket };
  }
  return isNamed(socket)
    ? { kind: 'accepted', server: socket, client: undefined }
    : { kind: 'orphan', socket };
}
