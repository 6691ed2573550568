// One tree whose pages are copied while it runs: armed once, then round after round, each into images of its own that build on
// those of the round before.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { HeldApplication } from './held-application.ts';
import { PARENT_LINK } from './image/image-files.ts';
import { ImageWriter } from './image/writer.ts';
import { childPids } from './linux/procfs/children.ts';
import type { Area } from './memory/area.ts';
import { HeadroomGauge } from './memory/headroom.ts';
import { anonymousBytes, areasOf, type PreparedMappings, withMappings } from './memory/mappings.ts';
import { PagesIds } from './memory/pages-file.ts';
import { isPreCopyWorthIt, isProcessWorthIt, type WatchedSize } from './memory/pre-copy-choice.ts';
import { stepsOf } from './memory/process-watch.ts';
import {
  type RunningPages,
  type RunningPagesSink,
  type RunningProcess,
  saveChangedPages,
  saveNoPages,
  saveRunningPages,
  writtenBytes,
} from './memory/running-pages.ts';
import { readMappings } from './memory/watched-mappings.ts';
import { likelyWatchable, WriteTracker } from './memory/write-tracker.ts';
import type { PreCopiedProcess } from './pre-copy.ts';
import type { DumpTask, DumpTree } from './protocol.ts';
import { isGone } from './tracee/attach.ts';
import type { TracedProcess } from './tracee/traced-process.ts';

/** Where the pages of a tree lie: a directory in the place of the link of an incremental chain, which CRIU reads as well. */
export const preCopyFolder = ({ imagesDir }: DumpTree): string => join(imagesDir, PARENT_LINK);

/** Whom to tell of the next process of a round. */
export type RoundProgress = () => RunningPagesSink['progress'];

interface ArmedProcess {
  readonly tracker: WriteTracker;
  readonly pid: number;
  readonly nsPid: number;
  prepared: PreparedMappings;
  /** of the last round; undefined before the first */
  pages: RunningPages | undefined;
  readonly skipped: Set<number>;
}

export class ArmedTree implements Disposable {
  readonly #tree: DumpTree;
  /** who ends meanwhile is left out */
  #processes: readonly ArmedProcess[];
  /** for rounds to come, oldest first: each within the next one */
  #folders: string[] = [];
  #bytes = 0;

  private constructor(tree: DumpTree, processes: readonly ArmedProcess[]) {
    this.#tree = tree;
    this.#processes = processes;
  }

  /** Lets the processes that are worth it make their descriptors. Nobody is attached to them afterwards. */
  static arm(tree: DumpTree, task: DumpTask): ArmedTree {
    const { preCopy: mode = 'never', freezeLimitMillis } = task;
    const armed: ArmedProcess[] = [];
    if (!isPreCopyWorthIt(mode, sizeOf(tree.rootPid))) return new ArmedTree(tree, armed);
    using application = HeldApplication.seize([tree]);
    application.prepare();
    try {
      application.freeze(freezeLimitMillis);
      for (const [process, prepared] of application.mappings) {
        if (!isProcessWorthIt(mode, prepared.anonymousBytes)) continue;
        armed.push(...armProcess(process, prepared));
        application.checkLimit();
      }
      application.letGo();
      return new ArmedTree(tree, armed);
    } catch (error) {
      for (const { tracker } of armed) tracker[Symbol.dispose]();
      throw error;
    }
  }

  get name(): string {
    return this.#tree.name;
  }

  get isEmpty(): boolean {
    return this.#processes.length === 0;
  }

  /** Of all images so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Both ends of the chain are known before the first round: the images of the freeze build on the last directory. */
  makeFolders(rounds: number): void {
    let folder = preCopyFolder(this.#tree);
    this.#folders = [folder];
    for (let level = 1; level < rounds; level++) {
      folder = join(folder, PARENT_LINK);
      this.#folders.unshift(folder);
    }
    mkdirSync(folder, { mode: 0o700, recursive: true });
  }

  /** All processes, one after the other. @returns bytes of the images, which are made durable with everything else */
  copyRound(progress: RoundProgress): number {
    return this.#save(progress, (process, sink) => {
      const { pages } = process;
      if (!pages) {
        protect(process);
        return saveRunningPages(running(process), sink);
      }
      watchWhatIsNew(process);
      return saveChangedPages(running(process), pages, sink);
    });
  }

  /** Directories for rounds that nobody wants: whoever reads the chain finds in them where to go on. */
  fillFolders(): void {
    while (this.#folders.length > 0) {
      this.#save(
        () => () => undefined,
        (process, sink) => saveNoPages(running(process), process.pages!, sink),
      );
    }
  }

  #save(
    progress: RoundProgress,
    work: (process: ArmedProcess, sink: RunningPagesSink) => RunningPages,
  ): number {
    const folder = this.#folders.shift();
    if (folder === undefined) throw new Error('there is no directory for another round');
    using images = new ImageWriter(folder);
    const pagesIds = new PagesIds();
    this.#processes = this.#ofLiving((process) => {
      process.pages = work(process, { images, pagesIds, progress: progress() });
      for (const page of process.pages.skipped) process.skipped.add(page);
    });
    const { bytes } = images.seal({ durable: false });
    this.#bytes += bytes;
    return bytes;
  }

  /** Since the last round. */
  writtenBytes(): number {
    let bytes = 0;
    this.#processes = this.#ofLiving((process) => {
      watchWhatIsNew(process);
      bytes += writtenBytes(running(process));
    });
    return bytes;
  }

  /** @returns those that are left */
  #ofLiving(work: (process: ArmedProcess) => void): ArmedProcess[] {
    return this.#processes.filter((process) => {
      try {
        work(process);
        return true;
      } catch (error) {
        if (!isGone(error)) throw error;
        process.tracker[Symbol.dispose]();
        return false;
      }
    });
  }

  /** The trackers belong to the caller from here on. */
  handOver(): PreCopiedProcess[] {
    const processes = this.#processes.map(({ tracker, skipped }) => ({
      tracker,
      skipped: [...skipped],
    }));
    this.#processes = [];
    return processes;
  }

  [Symbol.dispose](): void {
    for (const { tracker } of this.#processes) tracker[Symbol.dispose]();
  }
}

function running({ pid, nsPid, prepared }: ArmedProcess): RunningProcess {
  const areas: Area[] = areasOf(prepared);
  return { pid, nsPid, areas };
}

/** Before it is read: what is written to from then on counts as changed. */
function protect({ tracker, prepared: { mappings } }: ArmedProcess): void {
  const watched = likelyWatchable(mappings);
  tracker.watch(watched);
  tracker.protect(stepsOf(watched));
}

/** A heap that grows: what came since the last look is copied in the next round, not only in the freeze. */
function watchWhatIsNew(process: ArmedProcess): void {
  const mappings = readMappings(process.pid);
  process.prepared = withMappings(process.prepared, mappings);
  process.tracker.watchNew(likelyWatchable(mappings));
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
  return [{ tracker, pid, nsPid, prepared, pages: undefined, skipped: new Set<number>() }];
}
