// Directories of processes that have ended: who holds one, or stands in one, finds nothing there but errors; proc(5).
import { statfsSync } from 'node:fs';
import { enterNamespace, OwnedFd } from '../../linux/descriptors.ts';
import { O, openPath } from '../../linux/file-facts.ts';
import { innermost, readStatus } from '../../linux/procfs/status.ts';
import { SIGNAL, sendSignal } from '../../linux/signals.ts';
import { openInitProgram, spawnProgram } from '../../linux/spawn.ts';
import { poll } from '../../linux/wait.ts';
import { waitFor } from '../../tracee/deadline.ts';

const LINK = /^\/proc\/(\d+)(\/.*)? \(deleted\)$/;
const PROC_SUPER_MAGIC = 0x9fa0;
const CLONE_NEWPID = 0x20000000;
const END_MILLIS = 2000;

/** The process whose directory, or something in it, a link leads to; undefined for every other link. */
export function endedProcessOf(link: string, magicLink: string): number | undefined {
  const pid = LINK.exec(link)?.[1];
  if (pid === undefined || statfsSync(magicLink).type !== PROC_SUPER_MAGIC) return undefined;
  return Number(pid);
}

/** A process that stands in for all that have ended, until everything that leads to it is open. */
export class EndedProcess implements Disposable {
  readonly #target: number;
  #pid: number | undefined;

  /** @param target a process of the pid namespace in which the directories are to be */
  constructor(target: number) {
    this.#target = target;
  }

  /** A path of an ended process as it can be opened for now. */
  path(saved: string): string {
    this.#pid ??= startIn(this.#target);
    const pid = innermost(readStatus(this.#pid).nsPids);
    return saved.replace(/^\/proc\/\d+/, `/proc/${pid}`);
  }

  /** What was opened leads to a process that has ended, again. */
  [Symbol.dispose](): void {
    const pid = this.#pid;
    if (pid === undefined) return;
    this.#pid = undefined;
    sendSignal(pid, SIGNAL.SIGKILL);
    waitFor(`the end of process ${pid}`, END_MILLIS, () => poll(pid));
  }
}

/** setns(2) of a pid namespace moves children that are born from then on. */
function startIn(target: number): number {
  using own = new OwnedFd(openPath('/proc/thread-self/ns/pid_for_children', O.RDONLY));
  using theirs = new OwnedFd(openPath(`/proc/${target}/ns/pid`, O.RDONLY));
  enterNamespace(theirs.fd, CLONE_NEWPID);
  try {
    using program = openInitProgram();
    return spawnProgram({ executable: program.fd, argv: ['diapause-init', 'stand'] });
  } finally {
    enterNamespace(own.fd, CLONE_NEWPID);
  }
}
