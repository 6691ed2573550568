// fanotify(7): marks of inodes and mounts, and what they leave out.
import { FdType, MarkType } from '../../image/messages/enums.ts';
import type { FanotifyFileEntry, FanotifyMarkEntry } from '../../image/messages/events.ts';
import { closeFd } from '../../linux/descriptors.ts';
import { check } from '../../linux/error.ts';
import { O, openBelow } from '../../linux/file-facts.ts';
import { readMounts } from '../../linux/procfs/mountinfo.ts';
import { readableBytes } from '../../linux/readiness.ts';
import { addMark, makeFanotify } from '../../linux/watches.ts';
import { fdInfoValue, fdInfoValues } from './fdinfo.ts';
import type { FileDump } from './file-dump.ts';
import type { FileKind } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import type { OpenFile } from './open-file.ts';
import { ownerOf } from './owner.ts';
import { findWatched, handleEntry, parseInodeMark } from './watched-inode.ts';

/** Bits of fanotify_mark(2). */
const MARK = { MOUNT: 0x10, IGNORED_MASK: 0x20, IGNORE: 0x400 } as const;
/** FAN_ONDIR and FAN_EVENT_ON_CHILD: the old kind of ignoring has them by itself. */
const IMPLIED = 0x48000000;

export const fanotify: FileKind = {
  name: 'fanotify',

  recognises: ({ link }) => link === 'anon_inode:[fanotify]',

  collect(file, dump) {
    const { id, info } = file;
    const flags = fdInfoValue(info, 'fanotify flags') ?? '';
    const match = /^([0-9a-f]+) event-flags:([0-9a-f]+)$/.exec(flags);
    if (!match) return file.refuse('FanotifyUnreadable', 'the kernel does not tell its flags');
    if (fdInfoValue(info, 'fanotify sdev') !== undefined) {
      return file.refuse('FanotifyFilesystem', 'it watches a whole file system: remove the mark');
    }
    if (readableBytes(file.duplicate) > 0) {
      file.report(
        'loss',
        'FanotifyQueue',
        'it has events that nobody has read yet: the restored program does not get them',
      );
    }
    const [faflags, evflags] = match.slice(1).map((text) => Number.parseInt(text, 16)) as [
      number,
      number,
    ];
    const ffy = { id, flags: info.flags, fown: ownerOf(file), faflags, evflags, mark: [] };
    dump.whenAllKnown(() => {
      const inodes = fdInfoValues(info, 'fanotify ino').flatMap((text) =>
        inodeMark(file, text, dump),
      );
      const mounts = fdInfoValues(info, 'fanotify mnt_id').flatMap((text) => mountMark(file, text));
      dump.registry.put({
        type: FdType.FANOTIFY,
        id,
        ffy: { ...ffy, mark: [...inodes, ...mounts] },
      });
    });
    return { type: FdType.FANOTIFY, id, ffy };
  },

  restores: (entry) => entry.ffy !== undefined,

  open: (entry) => () => makeFanotify(entry.ffy!.faflags, entry.ffy!.evflags),

  finish(entry, opening) {
    opening.whenFilesAreDone(() => markAgain(entry.ffy!, opening));
  },
};

/** `mflags:40 mask:38 ignored_mask:3`, behind whatever is marked. */
function masksOf(text: string): Pick<FanotifyMarkEntry, 'mflags' | 'mask' | 'ignoredMask'> {
  const value = (name: string): number =>
    Number.parseInt(new RegExp(`\\b${name}:([0-9a-f]+)`).exec(text)?.[1] ?? '0', 16);
  return { mflags: value('mflags'), mask: value('mask'), ignoredMask: value('ignored_mask') };
}

function inodeMark(file: OpenFile, text: string, dump: FileDump): FanotifyMarkEntry[] {
  const mark = parseInodeMark(`ino:${text}`);
  const watched = mark && findWatched(file, mark, dump);
  if (!mark || !watched) {
    file.refuse(
      'FanotifyTarget',
      `no name was found for what it watches (${text}): remove the mark`,
    );
    return [];
  }
  const ie = { iIno: mark.ino, fHandle: handleEntry(mark, watched) };
  const fileId = 'fileId' in watched ? { fileId: watched.fileId } : {};
  return [{ id: file.id, type: MarkType.INODE, ...masksOf(text), sDev: mark.dev, ie, ...fileId }];
}

function mountMark(file: OpenFile, text: string): FanotifyMarkEntry[] {
  const mntId = Number.parseInt(text, 16);
  const mount = readMounts(file.subject.process.pid).find(({ id }) => id === mntId);
  if (!mount) {
    file.refuse('FanotifyTarget', `it watches a mount that its processes do not see (${mntId})`);
    return [];
  }
  const me = { mntId, path: mount.point };
  return [{ id: file.id, type: MarkType.MOUNT, ...masksOf(text), sDev: mount.dev, me }];
}

function markAgain({ id, mark: marks }: FanotifyFileEntry, opening: FileOpening): void {
  for (const mark of marks) {
    const { mflags, mask, ignoredMask, fileId } = mark;
    const where = mark.type === MarkType.MOUNT ? MARK.MOUNT : 0;
    const own = fileId === undefined ? undefined : opening.engineFd(fileId);
    const target = own ?? openTarget(mark, opening);
    const fanotifyFd = opening.engineFd(id);
    if (mask !== 0) addMark(fanotifyFd, where, mask, target);
    const modern = (mflags & MARK.IGNORE) !== 0;
    const ignored = modern ? ignoredMask : ignoredMask & ~IMPLIED;
    const how = where | mflags | (modern ? 0 : MARK.IGNORED_MASK);
    if (ignored !== 0) addMark(fanotifyFd, how, ignored, target);
    if (own === undefined) closeFd(target);
  }
}

function openTarget({ ie, me }: FanotifyMarkEntry, opening: FileOpening): number {
  const path = me?.path ?? ie?.fHandle.path;
  if (path === undefined) throw new Error('a fanotify mark has no path: dump again');
  return check(openBelow(opening.target, path, O.PATH | O.NOFOLLOW), 'open', { object: path });
}
