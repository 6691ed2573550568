// pidfd_open(2): a handle of a process of the tree, also of one that has ended.
import { SYS } from '../../arch/x86-64.ts';
import { FdType } from '../../image/messages/enums.ts';
import type { PidfdEntry } from '../../image/messages/files.ts';
import { pidfdOpen } from '../../linux/descriptors.ts';
import { O } from '../../linux/file-facts.ts';
import { readStat, readStatus, STAT } from '../../linux/procfs/status.ts';
import { SIGNAL, sendSignal } from '../../linux/signals.ts';
import { openInitProgram, spawnProgram } from '../../linux/spawn.ts';
import { poll } from '../../linux/wait.ts';
import { waitFor } from '../../tracee/deadline.ts';
import { fdInfoValue } from './fdinfo.ts';
import type { FileDump } from './file-dump.ts';
import type { FileKind } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import { ownerOf } from './owner.ts';

/** PIDFD_THREAD */
const OF_THREAD = O.EXCL;
const GONE = -1;
const END_MILLIS = 2000;

export const pidfd: FileKind = {
  name: 'pidfd',

  recognises: ({ link }) => link === 'anon_inode:[pidfd]' || link.startsWith('pidfd:['),

  collect(file, dump) {
    const { id, info, stat } = file;
    const pid = Number(fdInfoValue(info, 'Pid') ?? 0);
    const nspid = pid === GONE ? GONE : innerPid(pid, info.flags, dump);
    if (nspid === undefined) {
      return file.refuse(
        'PidfdOutside',
        'it is the handle of a thread or of a process outside the saved tree: let the application close it',
      );
    }
    const ino = Number(stat.ino & 0xffffffffn);
    return {
      type: FdType.PIDFD,
      id,
      pidfd: { id, ino, flags: info.flags, nspid, fown: ownerOf(file) },
    };
  },

  restores: (entry) => entry.pidfd !== undefined,

  open(entry, opening) {
    const saved = entry.pidfd!;
    return saved.nspid === GONE ? () => openEnded(saved, opening) : queueOpen(saved, opening);
  },
};

/** The application's own number of a process of the tree; undefined for everybody else. */
function innerPid(pid: number, flags: number, { subjects }: FileDump): number | undefined {
  if (pid <= 0) return undefined;
  const pids = new Set(subjects.map(({ process }) => process.pid));
  // A zombie is nobody's subject, but its parent's child; a thread looks like one.
  const zombie = (): boolean => pids.has(Number(readStat(pid)(STAT.ppid)));
  const ours = pids.has(pid) || (!(flags & OF_THREAD) && zombie());
  return ours ? readStatus(pid).nsPids.at(-1) : undefined;
}

function queueOpen({ id, nspid, flags }: PidfdEntry, opening: FileOpening): () => number {
  const builder = opening.ownerOf(id);
  builder.makeRoom(1, 0);
  const result = builder.batch.must(SYS.pidfd_open, nspid, flags & (O.NONBLOCK | OF_THREAD));
  return () => {
    if (!result.known) builder.flush();
    const fd = opening.pull(builder, result.number);
    builder.makeRoom(1, 0);
    builder.batch.must(SYS.close, result.number);
    return fd;
  };
}

/** One short-lived process for all handles of one that has ended. */
function openEnded({ ino, flags }: PidfdEntry, opening: FileOpening): number {
  const pid = opening.once(`ended process ${ino}`, () => {
    using program = openInitProgram();
    const born = spawnProgram({ executable: program.fd, argv: ['diapause-init', 'stand'] });
    opening.whenPlaced(() => {
      sendSignal(born, SIGNAL.SIGKILL);
      waitFor(`the end of process ${born}`, END_MILLIS, () => poll(born));
    });
    return born;
  });
  return pidfdOpen(pid, flags & (O.NONBLOCK | OF_THREAD)).fd;
}
