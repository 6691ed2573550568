// The first part of a dump of much memory: its pages go into the images while the application runs, and the kernel notes what it
// writes to meanwhile. The freeze then has only that left. docs/adr/0022-pre-copy.md
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { HeldApplication } from './held-application.ts';
import { PARENT_LINK } from './image/image-files.ts';
import { ImageWriter } from './image/writer.ts';
import { childPids } from './linux/procfs/read.ts';
import { canWatchWrites } from './linux/userfaultfd.ts';
import type { Area } from './memory/area.ts';
import { HeadroomGauge } from './memory/headroom.ts';
import { anonymousBytes, areasOf, type PreparedMappings } from './memory/mappings.ts';
import { PagesIds } from './memory/pages-file.ts';
import { isPreCopyWorthIt, isProcessWorthIt, type WatchedSize } from './memory/pre-copy-choice.ts';
import { stepsOf } from './memory/process-watch.ts';
import {
  type RunningPages,
  type RunningPagesSink,
  type RunningProcess,
  saveChangedPages,
  saveRunningPages,
} from './memory/running-pages.ts';
import { likelyWatchable, WriteTracker } from './memory/write-tracker.ts';
import type { DumpTask, DumpTree } from './protocol.ts';
import type { Reporter } from './reporter.ts';
import { SizeLimitError } from './size-limit.ts';
import { isGone } from './tracee/attach.ts';
import type { TracedProcess } from './tracee/traced-process.ts';

/** Where the pages of a tree lie: a directory in the place of the link of an incremental chain, which CRIU reads as well. */
export const preCopyFolder = ({ imagesDir }: DumpTree): string => join(imagesDir, PARENT_LINK);

/** On the disk: all, and what has changed meanwhile. */
export const PRE_COPY_ROUNDS = 2;

/** A process whose pages are in the images, and are watched since. */
export interface PreCopiedProcess {
  readonly tracker: WriteTracker;
  /** pages that are not in the images although nobody has written to them since */
  readonly skipped: readonly number[];
}

/** What was copied before the freeze. Its trackers are taken over by whoever goes on with it. */
export class PreCopied implements Disposable {
  readonly processes: PreCopiedProcess[] = [];
  /** name of a tree: bytes of its pages */
  readonly bytes = new Map<string, number>();

  /** Trackers that nobody has taken over. */
  [Symbol.dispose](): void {
    for (const { tracker } of this.processes.splice(0)) tracker[Symbol.dispose]();
  }
}

interface ArmedProcess extends RunningProcess {
  readonly tracker: WriteTracker;
  readonly mappings: PreparedMappings['mappings'];
}

/**
 * Copies all trees for which that pays; the application stops for a moment, in which its processes make the descriptors that
 * watch them.
 *
 * @throws RefusedError, UnstoppableError and others as the dump itself would
 */
export function preCopy(task: DumpTask, reporter: Reporter): PreCopied {
  const copied = new PreCopied();
  try {
    if (!mayPreCopy(task)) return copied;
    for (const tree of task.trees) copyTree(tree, task, copied, reporter);
    return copied;
  } catch (error) {
    copied[Symbol.dispose]();
    throw error;
  }
}

function mayPreCopy({ preCopy: mode = 'never', trees, dryRun }: DumpTask): boolean {
  const isIncremental = trees.some(({ parent }) => parent !== undefined);
  return mode !== 'never' && !dryRun && !isIncremental && canWatchWrites();
}

function copyTree(tree: DumpTree, task: DumpTask, copied: PreCopied, reporter: Reporter): void {
  const armed = arm(tree, task);
  if (armed.length === 0) return;
  using left = new DisposableStack();
  for (const { tracker } of armed) left.use(tracker);
  reporter.stage('pre-copying');
  const younger = preCopyFolder(tree);
  const older = join(younger, PARENT_LINK);
  mkdirSync(older, { mode: 0o700, recursive: true });
  const round = new CopyRound(task, reporter);
  const first = new Map<ArmedProcess, RunningPages>();
  const olderBytes = round.copy(older, armed, (process, sink) => {
    protect(process);
    first.set(process, saveRunningPages(process, sink));
  });
  const second = new Map<ArmedProcess, RunningPages>();
  const youngerBytes = round.copy(younger, [...first.keys()], (process, sink) => {
    second.set(process, saveChangedPages(process, first.get(process)!, sink));
  });
  copied.bytes.set(tree.name, olderBytes + youngerBytes);
  left.move();
  for (const process of armed) {
    const { tracker } = process;
    const last = second.get(process);
    const skipped = [...(first.get(process)?.skipped ?? []), ...(last?.skipped ?? [])];
    if (last) copied.processes.push({ tracker, skipped });
    else tracker[Symbol.dispose]();
  }
}

/** All processes of a tree into one directory, one after the other. Who ends meanwhile is left out. */
class CopyRound {
  readonly #task: DumpTask;
  readonly #reporter: Reporter;
  /** of all rounds */
  #bytes = 0;

  constructor(task: DumpTask, reporter: Reporter) {
    this.#task = task;
    this.#reporter = reporter;
  }

  /** @returns bytes of the images, which are made durable with everything else */
  copy(
    directory: string,
    processes: readonly ArmedProcess[],
    work: (process: ArmedProcess, sink: RunningPagesSink) => void,
  ): number {
    using images = new ImageWriter(directory);
    const pagesIds = new PagesIds();
    const { maxBytes } = this.#task;
    for (const process of processes) {
      const before = this.#bytes;
      const progress = (done: number, total: number): void => {
        if (maxBytes > 0 && before + total > maxBytes) throw new SizeLimitError(maxBytes);
        this.#bytes = before + done;
        this.#reporter.progress(before + done, before + total);
      };
      try {
        work(process, { images, pagesIds, progress });
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    }
    return images.seal({ durable: false }).bytes;
  }
}

/** Before it is read: what is written to from then on counts as changed. */
function protect({ tracker, mappings }: ArmedProcess): void {
  const watched = likelyWatchable(mappings);
  tracker.watch(watched);
  tracker.protect(stepsOf(watched));
}

/** Lets the processes that are worth it make their descriptors. Nobody is attached to them afterwards. */
function arm(
  tree: DumpTree,
  { preCopy: mode = 'never', freezeLimitMillis }: DumpTask,
): ArmedProcess[] {
  if (!isPreCopyWorthIt(mode, sizeOf(tree.rootPid))) return [];
  using application = HeldApplication.seize([tree]);
  application.prepare();
  const armed: ArmedProcess[] = [];
  try {
    application.freeze(freezeLimitMillis);
    for (const [process, prepared] of application.mappings) {
      if (!isProcessWorthIt(mode, prepared.anonymousBytes)) continue;
      armed.push(...armProcess(process, prepared));
      application.checkLimit();
    }
    application.letGo();
    return armed;
  } catch (error) {
    for (const { tracker } of armed) tracker[Symbol.dispose]();
    throw error;
  }
}

/** Looked at from outside: an application for which it does not pay is not stopped once more. */
function sizeOf(root: number): WatchedSize {
  let bytes = 0;
  let roomBytes: number | undefined;
  const pending = [root];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    try {
      bytes += anonymousBytes(pid);
      if (pid === root) roomBytes = new HeadroomGauge(pid).read();
      pending.push(...childPids(pid));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return { anonymousBytes: bytes, roomBytes };
}

function armProcess(process: TracedProcess, prepared: PreparedMappings): ArmedProcess[] {
  const tracker = process.threads.size > 0 ? WriteTracker.create(process) : undefined;
  if (!tracker) return [];
  const { pid, nsPid } = process;
  const areas: Area[] = areasOf(prepared, nsPid);
  return [{ tracker, pid, nsPid, areas, mappings: prepared.mappings }];
}
