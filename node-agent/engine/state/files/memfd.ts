// memfd_create(2), and descriptors of shared anonymous memory: the object is kept with the shared memory of the tree.
import { FdType } from '../../image/messages/enums.ts';
import { hugePageDevices } from '../../linux/huge-pages.ts';
import { seekTo } from '../../linux/sparse.ts';
import { isSharedMemoryLink, kernelShmemDev } from '../../memory/shared-memory.ts';
import type { FileKind } from './file-kind.ts';
import { ownerOf } from './owner.ts';

const isInternal = (dev: number): boolean => dev === kernelShmemDev() || hugePageDevices().has(dev);

export const memfd: FileKind = {
  name: 'memfd',

  recognises: ({ link, stat }) => isSharedMemoryLink(link) && isInternal(stat.dev),

  collect(file, { registry }) {
    const inodeId = registry.sharedMemory.inodeId(file.magicLink);
    const { id, info } = file;
    const { flags, pos } = info;
    return { type: FdType.MEMFD, id, memfd: { id, flags, pos, fown: ownerOf(file), inodeId } };
  },

  restores: (entry) => entry.memfd !== undefined,

  open(entry, opening) {
    const fd = opening.sharedMemory.memfd(entry.memfd!, opening.ownerOf(entry.id));
    seekTo(fd, entry.memfd!.pos);
    return () => fd;
  },

  finish(_entry, opening) {
    opening.sharedMemory.seal();
  },
};
