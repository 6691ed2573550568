// FIFOs: pipes with a path. Every end is opened by path, while the engine holds both so that nobody waits for the other.
import { IMAGES } from '../../image/image-files.ts';
import { FdType } from '../../image/messages/enums.ts';
import type { FifoEntry } from '../../image/messages/pipes.ts';
import { closeFd } from '../../linux/descriptors.ts';
import { O, S } from '../../linux/file-facts.ts';
import type { FileKind } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import { pipeId, saveContent } from './pipe.ts';
import { copyPipe, fillPipe } from './pipe-content.ts';
import { checkPath, openingFlags, pathFacts } from './regular.ts';

export const fifo: FileKind = {
  name: 'fifo',

  recognises: ({ link, stat, info }) =>
    link.startsWith('/') && (stat.mode & S.IFMT) === S.IFIFO && (info.flags & O.PATH) === 0,

  collect(file, dump) {
    const { id } = file;
    const regfId = dump.registry.allocate();
    const path = dump.registry.describePath(regfId, pathFacts(file));
    if (!path) return undefined;
    dump.registry.put(path);
    dump.whenAllKnown(() => {
      const ends = dump
        .filesOfInode(file.stat.ino)
        .filter(({ stat }) => stat.dev === file.stat.dev);
      if (ends[0] === file) saveContent(copyPipe(ends), IMAGES.fifoData, dump);
    });
    return { type: FdType.FIFO, id, fifo: { id, pipeId: pipeId(file), regfId } };
  },

  restores: (entry) => entry.fifo !== undefined,

  check(entry, target) {
    const reg = target.saved.entries.get(pathIdOf(entry.fifo!))?.reg;
    return reg ? checkPath(reg, target) : [];
  },

  open(entry, opening) {
    const saved = entry.fifo!;
    const pathId = pathIdOf(saved);
    const reg = opening.saved.entry(pathId).reg!;
    opening.once(`fifo ${reg.name}`, () => holdBothEnds(saved, pathId, opening));
    return opening.openRemotely(pathId, openingFlags(reg), opening.ownerOf(entry.id));
  },
};

/** CRIU leaves out a path of the same id. */
const pathIdOf = ({ id, regfId }: FifoEntry): number => regfId ?? id;

function holdBothEnds({ pipeId: number }: FifoEntry, pathId: number, opening: FileOpening): void {
  const both = opening.openAsEngine(pathId, O.RDWR | O.NONBLOCK);
  fillPipe(both, opening.saved.fifoContent(number));
  opening.whenPlaced(() => closeFd(both));
}
