// epoll(7): what a set watches, also where the watched descriptor was closed or moved since.
import { FdType } from '../../image/messages/enums.ts';
import type { EventpollTfdEntry } from '../../image/messages/events.ts';
import { isEpollTarget } from '../../linux/epoll-target.ts';
import { makeEpoll } from '../../linux/event-descriptors.ts';
import { watchAgain } from './epoll-restore.ts';
import { fdInfoValues } from './fdinfo.ts';
import type { FileDump } from './file-dump.ts';
import type { FileKind } from './file-kind.ts';
import type { Holder, OpenFile } from './open-file.ts';
import { ownerOf } from './owner.ts';

/** A line `tfd:` of fdinfo. */
interface Watch {
  /** number under which it was added */
  readonly number: number;
  /** which of several watches with that number */
  readonly index: number;
  readonly events: number;
  readonly data: bigint;
  readonly pos: bigint;
  readonly ino: bigint;
  readonly dev: number;
}

const LINE =
  /^(\d+)\s+events:\s*([0-9a-f]+)\s+data:\s*([0-9a-f]+)(?:\s+pos:\s*(-?\d+)\s+ino:\s*([0-9a-f]+)\s+sdev:\s*([0-9a-f]+))?/;

/** Reads the watches in the kernel's order. @throws Error for a line that no kernel writes */
export function parseWatches(lines: readonly string[]): Watch[] {
  const seen = new Map<number, number>();
  return lines.map((line) => {
    const match = LINE.exec(line);
    if (!match) throw new Error(`fdinfo of an epoll set says tfd: ${line}`);
    const [, number, events, data, pos, ino, dev] = match;
    const index = seen.get(Number(number)) ?? 0;
    seen.set(Number(number), index + 1);
    return {
      number: Number(number),
      index,
      events: Number.parseInt(events as string, 16),
      data: BigInt(`0x${data}`),
      pos: BigInt.asUintN(64, BigInt(pos ?? 0)),
      ino: BigInt(`0x${ino ?? 0}`),
      dev: Number.parseInt(dev ?? '0', 16),
    };
  });
}

export const epoll: FileKind = {
  name: 'epoll',

  recognises: (file) => file.link === 'anon_inode:[eventpoll]',

  collect(file, dump) {
    const { id } = file;
    const epfd = { id, flags: file.info.flags, fown: ownerOf(file), tfd: [] };
    dump.whenAllKnown(() => {
      const watches = parseWatches(fdInfoValues(file.info, 'tfd'));
      const tfd = watches.flatMap((watch) => describeWatch(file, watch, dump));
      dump.registry.put({ type: FdType.EVENTPOLL, id, epfd: { ...epfd, tfd } });
    });
    return { type: FdType.EVENTPOLL, id, epfd };
  },

  restores: (entry) => entry.epfd !== undefined,

  open: () => makeEpoll,

  finish(entry, opening) {
    watchAgain(entry.epfd!, opening);
  },
};

function describeWatch(set: OpenFile, watch: Watch, dump: FileDump): EventpollTfdEntry[] {
  const target = findTarget(set, watch, dump);
  if (!target) {
    set.refuse(
      'EpollTarget',
      `it watches a file, added as descriptor ${watch.number}, that no saved process holds any more: remove the watch`,
    );
    return [];
  }
  const holder = bestHolder(set, watch, target);
  const tfd = holder?.fd ?? watch.number;
  return [
    {
      id: set.id,
      tfd,
      events: watch.events,
      data: watch.data,
      dev: watch.dev,
      inode: watch.ino,
      pos: watch.pos,
      ...(tfd !== watch.number && { addedAs: watch.number }),
      targetId: target.id,
    },
  ];
}

/** Of all files of that inode the one that the kernel says it is; anonymous inodes are shared by many files. */
function findTarget(set: OpenFile, watch: Watch, dump: FileDump): OpenFile | undefined {
  const alike = dump.filesOfInode(watch.ino).filter(({ stat }) => stat.dev === watch.dev);
  const candidates = alike.length > 0 ? alike : dump.filesOfInode(watch.ino);
  const [only] = candidates;
  // The inode of a socket has one open file.
  if (only?.link.startsWith('socket:') && candidates.length === 1) return only;
  const { pid, fd } = set.source;
  const slot = { pid, epoll: fd, target: watch.number, index: watch.index };
  return candidates.find(({ source }) => isEpollTarget(slot, source.pid, source.fd));
}

/** Who has both the set and the target, best under the number that it was added with. */
function bestHolder(set: OpenFile, { number }: Watch, target: OpenFile): Holder | undefined {
  const owners = new Set(set.holders.map((holder) => holder.subject));
  const near = target.holders.filter((holder) => owners.has(holder.subject));
  return near.find((holder) => holder.fd === number) ?? near[0] ?? target.holders[0];
}
