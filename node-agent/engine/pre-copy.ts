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
import { type RunningProcess, saveRunningPages } from './memory/running-pages.ts';
import { likelyWatchable, WriteTracker } from './memory/write-tracker.ts';
import type { DumpTask, DumpTree } from './protocol.ts';
import type { Reporter } from './reporter.ts';
import { SizeLimitError } from './size-limit.ts';
import { isGone } from './tracee/attach.ts';
import type { TracedProcess } from './tracee/traced-process.ts';

/** Where the pages of a tree lie: a directory in the place of the link of an incremental chain, which CRIU reads as well. */
export const preCopyFolder = ({ imagesDir }: DumpTree): string => join(imagesDir, PARENT_LINK);

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
  reporter.stage('pre-copying');
  mkdirSync(preCopyFolder(tree), { mode: 0o700 });
  using images = new ImageWriter(preCopyFolder(tree));
  const pagesIds = new PagesIds();
  let before = 0;
  const progress = (done: number, total: number): void => {
    if (task.maxBytes > 0 && before + total > task.maxBytes)
      throw new SizeLimitError(task.maxBytes);
    reporter.progress(before + done, before + total);
  };
  using left = new DisposableStack();
  for (const { tracker } of armed) left.use(tracker);
  const done: PreCopiedProcess[] = [];
  for (const process of armed) {
    const pages = copyProcess(process, { images, pagesIds, progress });
    if (!pages) continue;
    before += pages.bytes;
    done.push({ tracker: process.tracker, skipped: pages.skipped });
  }
  // Made durable with everything else.
  copied.bytes.set(tree.name, images.seal({ durable: false }).bytes);
  left.move();
  const kept = new Set(done.map(({ tracker }) => tracker));
  for (const { tracker } of armed) if (!kept.has(tracker)) tracker[Symbol.dispose]();
  copied.processes.push(...done);
}

/** Protects before it reads: what is written to from then on counts as changed. @returns undefined when it has ended */
function copyProcess(
  process: ArmedProcess,
  sink: Parameters<typeof saveRunningPages>[1],
): ReturnType<typeof saveRunningPages> | undefined {
  try {
    const watched = likelyWatchable(process.mappings);
    process.tracker.watch(watched);
    process.tracker.protect(stepsOf(watched));
    return saveRunningPages(process, sink);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
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
