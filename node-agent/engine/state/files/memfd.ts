// memfd_create(2), and descriptors of shared anonymous memory: the object is kept with the shared memory of the tree.
import { FdType } from '../../image/messages/enums.ts';
import { O, openPath } from '../../linux/file-facts.ts';
import { seekTo } from '../../linux/sparse.ts';
import { isSharedMemoryLink, kernelShmemDev } from '../../memory/shared-memory.ts';
import type { FileKind } from './file-kind.ts';
import { ownerOf } from './owner.ts';

/** Flags that open(2) of /proc/self/fd takes; O_CREAT and the like were never there. */
const KEPT_FLAGS = O.ACCMODE | O.APPEND | O.NONBLOCK | O.NOATIME | O.LARGEFILE;

export const memfd: FileKind = {
  name: 'memfd',

  recognises: ({ link, stat }) => isSharedMemoryLink(link) && stat.dev === kernelShmemDev(),

  collect(file, { registry }) {
    const inodeId = registry.sharedMemory.inodeId(file.magicLink);
    const { id, info } = file;
    const { flags, pos } = info;
    return { type: FdType.MEMFD, id, memfd: { id, flags, pos, fown: ownerOf(file), inodeId } };
  },

  restores: (entry) => entry.memfd !== undefined,

  open(entry, opening) {
    const { inodeId, flags, pos } = entry.memfd!;
    const object = opening.sharedMemory.memfd(inodeId, opening.ownerOf(entry.id));
    // Each saved descriptor has its own position and flags, so each opens the object anew
    const fd = openPath(`/proc/self/fd/${object}`, flags & KEPT_FLAGS);
    seekTo(fd, pos);
    return () => fd;
  },

  finish(_entry, opening) {
    opening.sharedMemory.seal();
  },
};
