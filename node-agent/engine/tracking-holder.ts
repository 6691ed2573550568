// The process that holds the watches between two dumps: a program of one page that waits for the end of the application. It is
// found by a file beside the images, and proves itself by its program.
import { openSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { FCNTL, fcntl, OwnedFd, pidfdGetfd, pidfdOpen } from './linux/descriptors.ts';
import { readStat, STAT } from './linux/procfs/status.ts';
import { SIGNAL } from './linux/signals.ts';
import { INIT_NAME, openInitProgram, spawnProgram } from './linux/spawn.ts';
import { signalByPidfd } from './linux/signals.ts';
import { WriteTracker } from './memory/write-tracker.ts';

interface HeldTracker {
  readonly pid: number;
  readonly startTime: string;
  /** number in the holder */
  readonly descriptor: number;
}

interface TrackingFile {
  readonly holder: { readonly pid: number; readonly startTime: string };
  readonly processes: readonly HeldTracker[];
}

/** Starts a holder and writes down where it is. It ends with the process `rootPid`. */
export function leaveTrackers(
  trackers: readonly WriteTracker[],
  rootPid: number,
  file: string,
): void {
  for (const { descriptor } of trackers) fcntl(descriptor.fd, FCNTL.F_SETFD, 0);
  using program = openInitProgram();
  using root = pidfdOpen(rootPid);
  using nothing = new OwnedFd(openSync('/dev/null', 'r+'));
  const pid = spawnProgram({
    executable: program.fd,
    argv: [INIT_NAME, 'hold'],
    stdio: [root.fd, nothing.fd, nothing.fd],
    newSession: true,
  });
  const text: TrackingFile = {
    holder: { pid, startTime: startTimeOf(pid) },
    processes: trackers.map(({ pid: tracked, descriptor }) => ({
      pid: tracked,
      startTime: startTimeOf(tracked),
      descriptor: descriptor.fd,
    })),
  };
  writeFileSync(`${file}~`, JSON.stringify(text), { mode: 0o600 });
  renameSync(`${file}~`, file);
}

/**
 * Takes the watches of processes that still live out of their holder and ends it: what they tell is about one dump only, and
 * from now on it will be about another.
 */
export function takeTrackers(file: string | undefined): WriteTracker[] {
  if (file === undefined) return [];
  const left = readTrackingFile(file);
  if (!left) return [];
  rmSync(file, { force: true });
  using holder = openHolder(left.holder);
  if (!holder) return [];
  const trackers = left.processes.flatMap(({ pid, startTime, descriptor }) => {
    if (tryStartTime(pid) !== startTime) return [];
    const fd = pidfdGetfd(holder, descriptor, left.holder.pid);
    return [new WriteTracker(pid, new OwnedFd(fd))];
  });
  signalByPidfd(holder.fd, SIGNAL.SIGKILL);
  return trackers;
}

function readTrackingFile(file: string): TrackingFile | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as TrackingFile;
  } catch {
    return undefined;
  }
}

/** The file may be old, or anybody's: only a process of our own program is asked, and ended. */
function openHolder({ pid, startTime }: TrackingFile['holder']): OwnedFd | undefined {
  try {
    const handle = pidfdOpen(pid);
    const program = readlinkSync(`/proc/${pid}/exe`);
    const mode = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    const ours = program.startsWith(`/memfd:${INIT_NAME} `) && mode === `${INIT_NAME}\0hold\0`;
    // Looked at through the number after the handle was opened: it is one process, or it has ended.
    if (ours && startTimeOf(pid) === startTime) return handle;
    handle[Symbol.dispose]();
    return undefined;
  } catch {
    return undefined;
  }
}

const startTimeOf = (pid: number): string => readStat(pid)(STAT.startTime);

function tryStartTime(pid: number): string | undefined {
  try {
    return startTimeOf(pid);
  } catch {
    return undefined;
  }
}
