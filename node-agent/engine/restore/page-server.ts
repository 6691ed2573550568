// Starts the process that brings missing pages (shim/pages): it outlives the engine, and the agent.
import { constants, openSync, readdirSync, writeFileSync } from 'node:fs';
import {
  PAGE_PLAN,
  PAGE_PLAN_SIZE,
  PLANNED_SPACE,
  PLANNED_SPACE_SIZE,
  SAVED_RUN,
  SAVED_RUN_SIZE,
} from '../../../shim/shim.generated.ts';
import { SYS } from '../arch/x86-64.ts';
import { ImageError } from '../image/image-error.ts';
import { FCNTL, fcntl, OwnedFd, pidfdOpen } from '../linux/descriptors.ts';
import { syscall } from '../linux/ffi.ts';
import { childPids } from '../linux/procfs/children.ts';
import { SIGNAL } from '../linux/signals.ts';
import { memoryFile, openPagesProgram, PAGES_NAME, spawnProgram } from '../linux/spawn.ts';
import { poll } from '../linux/wait.ts';
import type { MissingPages } from '../memory/missing-pages.ts';
import { openPages, type PagesSource, type SavedRun } from '../memory/saved-pages.ts';
import { waitFor } from '../tracee/deadline.ts';

const POINTER_BYTES = 8;
const START_MILLIS = 5000;
/** Of pids that nobody wants, one after the other. */
const MOST_STARTS = 100;
const NEVER_BY_OOM = '-1000';

export interface PageServerTask {
  readonly spaces: readonly MissingPages[];
  /** who is killed when pages cannot be had */
  readonly processes: readonly number[];
  /** ids that the image wants: the server must have none of them */
  readonly taken: ReadonlySet<number>;
  /** where the server tells of troubles */
  readonly logFile: string;
}

/**
 * Starts the server; until the engine closes its own copies of the descriptors, nothing is lost if that fails.
 *
 * @returns its pid, in the engine's namespace; undefined: all pages are there already
 * @throws ImageError when a file of pages is missing or too short
 */
export function startPageServer(task: PageServerTask): number | undefined {
  using files = new DisposableStack();
  const sources = openSources(task.spaces, files);
  const handles = task.processes.map((pid) => files.use(pidfdOpen(pid)).fd);
  const plan = files.use(memoryFile(PAGES_NAME, planOf(task.spaces, sources, handles)));
  const spaces = task.spaces.map(({ descriptor }) => descriptor.fd);
  inheritNothing();
  for (const fd of [...sources.values(), ...handles, ...spaces]) fcntl(fd, FCNTL.F_SETFD, 0);
  try {
    return startWithFreePids(plan, task);
  } finally {
    // Whatever else the engine starts must not hold them.
    for (const fd of spaces) fcntl(fd, FCNTL.F_SETFD, 1);
  }
}

/** Somebody may be waiting for the end of what this process was handed in. */
function inheritNothing(): void {
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    if (fd > 2) syscall(SYS.fcntl, fd, FCNTL.F_SETFD, 1);
  }
}

function startWithFreePids(plan: OwnedFd, { taken, logFile }: PageServerTask): number | undefined {
  using program = openPagesProgram();
  using nothing = new OwnedFd(openSync('/dev/null', 'r+'));
  const { O_WRONLY, O_CREAT, O_APPEND } = constants;
  using log = new OwnedFd(openSync(logFile, O_WRONLY | O_CREAT | O_APPEND, 0o600));
  for (let start = 0; start < MOST_STARTS; start++) {
    const pid = spawnProgram({
      executable: program.fd,
      argv: [PAGES_NAME],
      stdio: [plan.fd, nothing.fd, log.fd],
      newSession: true,
    });
    spareFromOom(pid);
    const { serving, ended } = waitFor('the page server', START_MILLIS, () => lookFor(pid));
    if (ended === 0) return undefined;
    if (ended !== undefined) throw new Error(`the page server has failed: see ${logFile}`);
    if (!taken.has(pid) && !taken.has(serving)) return pid;
    end(pid);
  }
  throw new Error('the page server found no pid that the restored processes do not want');
}

type Found =
  | { readonly serving: number; readonly ended?: undefined }
  | { readonly serving?: undefined; readonly ended: number };

/** On a busy machine, or with few pages, it may have done its work before anybody looks. */
function lookFor(pid: number): Found | undefined {
  const [serving] = childPids(pid);
  if (serving !== undefined) return { serving };
  const status = poll(pid)?.status;
  if (!status) return undefined;
  return { ended: status.kind === 'exited' ? status.code : -1 };
}

/** Both at once: one alone would put another one in the place of the one that is killed. */
function end(leader: number): void {
  syscall(SYS.kill, -leader, SIGNAL.SIGKILL);
  waitFor('the end of a page server', START_MILLIS, () => poll(leader));
}

/** With it the restored processes would lose their memory. */
function spareFromOom(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, NEVER_BY_OOM);
  } catch {
    // Without CAP_SYS_RESOURCE; it is so small that it is hardly ever chosen.
  }
}

function openSources(
  spaces: readonly MissingPages[],
  files: DisposableStack,
): Map<PagesSource, number> {
  const opened = new Map<PagesSource, { readonly fd: number; readonly bytes: number }>();
  for (const { source, offset, start, end } of spaces.flatMap(({ runs }) => runs)) {
    const known = opened.get(source);
    const { fd, bytes } = known ?? openPages(source);
    if (!known) {
      files.use(new OwnedFd(fd));
      opened.set(source, { fd, bytes });
    }
    const wanted = offset + Number(end - start);
    if (wanted > bytes) {
      throw new ImageError({ file: source.file, reason: `ends before byte ${wanted}` });
    }
  }
  return new Map([...opened].map(([source, { fd }]) => [source, fd]));
}

/** shim/pages/plan.h */
function planOf(
  spaces: readonly MissingPages[],
  files: ReadonlyMap<PagesSource, number>,
  processes: readonly number[],
): Buffer {
  const runs = spaces.flatMap((space) => space.runs);
  const runsAt = PAGE_PLAN_SIZE + spaces.length * PLANNED_SPACE_SIZE;
  const processesAt = runsAt + runs.length * SAVED_RUN_SIZE;
  const plan = Buffer.alloc(processesAt + processes.length * POINTER_BYTES);
  const put = (value: number | bigint, at: number) => plan.writeBigInt64LE(BigInt(value), at);
  put(spaces.length, PAGE_PLAN.spaces);
  put(runs.length, PAGE_PLAN.runs);
  put(processes.length, PAGE_PLAN.processes);
  let first = 0;
  spaces.forEach((space, i) => {
    const at = PAGE_PLAN_SIZE + i * PLANNED_SPACE_SIZE;
    put(space.descriptor.fd, at + PLANNED_SPACE.uffd);
    put(first, at + PLANNED_SPACE.first_run);
    first += space.runs.length;
    put(first, at + PLANNED_SPACE.end_run);
  });
  runs.forEach((run, i) => putRun(put, runsAt + i * SAVED_RUN_SIZE, run, files));
  processes.forEach((fd, i) => put(fd, processesAt + i * POINTER_BYTES));
  return plan;
}

function putRun(
  put: (value: number | bigint, at: number) => void,
  at: number,
  { start, end, source, offset }: SavedRun,
  files: ReadonlyMap<PagesSource, number>,
): void {
  put(start, at + SAVED_RUN.start);
  put(end, at + SAVED_RUN.end);
  put(files.get(source)!, at + SAVED_RUN.file);
  put(offset, at + SAVED_RUN.offset);
}
