// inotify(7): watches under the numbers that the application knows.
import { refusal } from '../../finding.ts';
import { FdType } from '../../image/messages/enums.ts';
import type { InotifyFileEntry, InotifyWdEntry } from '../../image/messages/events.ts';
import { closeFd } from '../../linux/descriptors.ts';
import { check } from '../../linux/error.ts';
import { O, openBelow, statBelow } from '../../linux/file-facts.ts';
import { readableBytes } from '../../linux/readiness.ts';
import { addWatch, makeInotify } from '../../linux/watches.ts';
import { fdInfoValues } from './fdinfo.ts';
import type { FileDump } from './file-dump.ts';
import type { FileKind } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import type { OpenFile } from './open-file.ts';
import { ownerOf } from './owner.ts';
import { pathHere } from './volume-path.ts';
import { findWatched, handleEntry, parseInodeMark } from './watched-inode.ts';

/** Events and flags that inotify_add_watch(2) takes: older kernels show bits of their own besides. */
const USER_MASK = 0xfff | 0x04000000 | 0x80000000;

export const inotify: FileKind = {
  name: 'inotify',

  recognises: ({ link }) => link === 'anon_inode:inotify' || link === 'anon_inode:[inotify]',

  collect(file, dump) {
    const { id, info } = file;
    if (readableBytes(file.duplicate) > 0) {
      file.report(
        'loss',
        'InotifyQueue',
        'it has events that nobody has read yet, which no one but its reader can see: the restored program does not get them',
      );
    }
    const ify = { id, flags: info.flags, fown: ownerOf(file), wd: [] };
    dump.whenAllKnown(() => {
      const wd = fdInfoValues(info, 'inotify wd').flatMap((text) => describe(file, text, dump));
      dump.registry.put({ type: FdType.INOTIFY, id, ify: { ...ify, wd } });
    });
    return { type: FdType.INOTIFY, id, ify };
  },

  restores: (entry) => entry.ify !== undefined,

  check(entry, target) {
    return entry.ify!.wd.flatMap(({ wd, fHandle: { path } }) => {
      if (path === undefined || target.stat(path)) return [];
      const advice = 'the saved program watches it: put it back where it was';
      return [refusal('WatchedMissing', target.pidOf(entry.id), `${path} (watch ${wd})`, advice)];
    });
  },

  open: (entry) => () => makeInotify(entry.ify!.flags),

  finish(entry, opening) {
    // What the restore itself does to files must not become events.
    opening.whenFilesAreDone(() => watchAgain(entry.ify!, opening));
  },
};

/** `1 ino:9e7e sdev:800013 mask:800afce ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:7e9e...` */
function describe(file: OpenFile, text: string, dump: FileDump): InotifyWdEntry[] {
  const mark = parseInodeMark(text);
  const mask = /\bmask:([0-9a-f]+)/.exec(text)?.[1];
  const watched = mark && findWatched(file, mark, dump);
  if (!mark || !watched || mask === undefined) {
    file.refuse(
      'InotifyTarget',
      `no name was found for what it watches (${text}): remove the watch, or keep the file where it was`,
    );
    return [];
  }
  return [
    {
      id: file.id,
      iIno: mark.ino,
      mask: (Number.parseInt(mask, 16) & USER_MASK) >>> 0,
      ignoredMask: 0,
      sDev: mark.dev,
      wd: Number.parseInt(text, 16),
      fHandle: handleEntry(mark, watched),
      ...('fileId' in watched && { fileId: watched.fileId }),
    },
  ];
}

function watchAgain({ id, wd: watches }: InotifyFileEntry, opening: FileOpening): void {
  // In ascending order, so that the next number that the kernel gives is above all of them.
  for (const { wd, mask, fHandle, fileId } of watches.toSorted((a, b) => a.wd - b.wd)) {
    if (fileId !== undefined) {
      addWatch(opening.engineFd(id), opening.engineFd(fileId), mask, wd);
      continue;
    }
    const { path } = fHandle;
    if (path === undefined) throw new Error(`watch ${wd} has no path: dump again`);
    const here = pathHere(path, (p) => statBelow(opening.target, p) !== undefined);
    const target = openBelow(opening.target, here, O.PATH | O.NOFOLLOW);
    check(target, 'open', { object: path });
    addWatch(opening.engineFd(id), target, mask, wd);
    closeFd(target);
  }
}
