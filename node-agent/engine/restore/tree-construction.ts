// One tree being rebuilt, stage by stage; `restore.ts` says in which order.
import { SYS } from '../arch/x86-64.ts';
import { type Comparison, compareSample, pagesToCompare } from '../memory/compare.ts';
import { inheritsMemory } from '../memory/inheritance.ts';
import type { PageSet } from '../memory/page-set.ts';
import type { MissingPages } from '../memory/missing-pages.ts';
import { rebuildMemory, sameFileAs } from '../memory/rebuild.ts';
import type { SavedRun } from '../memory/saved-pages.ts';
import type { Reporter } from '../reporter.ts';
import type { TreeReport } from '../protocol.ts';
import { innermost, readStatus } from '../linux/procfs/status.ts';
import type { SavedProcess } from '../state/records.ts';
import { FileOpener } from '../state/files/opener.ts';
import type { PairRestore } from '../state/files/tcp-pairs-restore.ts';
import { poll } from '../linux/wait.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { Tracer } from '../tracee/tracer.ts';
import { type BornProcess, TreeBirth } from './birth.ts';
import type { Birth } from './builder.ts';
import { HelpingThreads, helpersHere } from './helping-threads.ts';
import { LastPid, type PidSource, SetTid } from './pid-source.ts';
import { finishProcess } from './release.ts';
import { readClocks } from './saved-clocks.ts';
import type { OpenedTree } from './saved-images.ts';
import { spawnRoot } from './spawn-root.ts';
import { stopAsSaved } from './stopped.ts';
import { bearThreads } from './threads.ts';
import { ProcessUnderConstruction, runStage } from './under-construction.ts';
import { drainChildSignals, endAs } from './zombie.ts';

const FREEZE_MILLIS = 5000;

/** What is the same for all trees of a restore. */
export interface RestoreOfAll {
  /** takes the connections between saved processes */
  readonly pairs: PairRestore;
  /** how many processes of a tree may run before all of their pages are there */
  readonly mostLazy: number;
}

export class TreeConstruction {
  readonly processes: ProcessUnderConstruction[] = [];
  readonly #saved: OpenedTree;
  readonly #tracer: Tracer;
  readonly #reporter: Reporter;
  readonly #files: FileOpener;
  readonly #birth: Birth;
  readonly #mostHelpers = helpersHere();
  #pids: PidSource | undefined;
  #root: TracedProcess | undefined;
  #family: TreeBirth | undefined;
  #filledBytes = 0;
  readonly #mostLazy: number;
  #heirPids: ReadonlySet<number> = new Set();
  /** by saved pid: pages that are there before the process runs */
  readonly #filled = new Map<number, readonly SavedRun[]>();
  /** what is not there when the processes run */
  readonly missing: MissingPages[] = [];
  readonly #compared = { comparedPages: 0, savedPages: 0 };

  constructor(saved: OpenedTree, tracer: Tracer, reporter: Reporter, all: RestoreOfAll) {
    this.#saved = saved;
    this.#mostLazy = all.mostLazy;
    this.#tracer = tracer;
    this.#reporter = reporter;
    this.#birth = saved.placeholderPid === undefined ? 'standalone' : 'morph';
    this.#files = new FileOpener(saved.images, saved.tree, saved.target, all.pairs);
  }

  /** The root pid in the engine's numbering, once it is born. */
  get rootPid(): number {
    if (!this.#root) throw new Error('the tree is not born yet');
    return this.#root.pid;
  }

  /** Ids of all processes and threads, as the tree numbers them. */
  get takenPids(): ReadonlySet<number> {
    const { processes } = this.#saved.tree;
    return new Set(processes.flatMap((p) => [p.pid, ...p.pstree.threads]));
  }

  /** Every process that shares no memory with its parent exists, as a stopped copy of the placeholder. */
  bear(): void {
    const { tree, placeholderPid } = this.#saved;
    const rootPid =
      placeholderPid ??
      spawnRoot(tree.processes[0]!.pid, readClocks(this.#saved.images), this.#saved.asSibling);
    this.#root = this.#tracer.seizeTree(rootPid);
    this.#tracer.freeze(FREEZE_MILLIS);
    this.#saved.ipc.make(rootPid, this.#reporter.finding.bind(this.#reporter));
    this.#pids = this.#birth === 'morph' ? LastPid.start(rootPid, this.takenPids) : new SetTid();
    const session = innermost(readStatus(rootPid).nsSids);
    this.#heirPids = this.#heirs();
    const family = {
      tree,
      heirs: this.#heirPids,
      sessionBegan: (sid: number, leader: TracedProcess): void =>
        this.#files.terminals.attach(sid, leader),
    };
    this.#family = new TreeBirth(family, this.#tracer, this.#pids);
    this.#family.begin(this.#root, session);
  }

  #heirs(): ReadonlySet<number> {
    const { processes } = this.#saved.tree;
    const sameFile = sameFileAs(this.#files);
    const pagesOf = (saved: SavedProcess): PageSet => this.#saved.pages.of(saved);
    const heirs = processes.filter((child) => {
      const parent = this.#parentOf(child);
      return parent && inheritsMemory({ parent, child, pagesOf }, sameFile);
    });
    return new Set(heirs.map(({ pid }) => pid));
  }

  #parentOf({ pstree }: SavedProcess): SavedProcess | undefined {
    return this.#saved.tree.processes.find(({ pid }) => pid === pstree.ppid);
  }

  /** Executable, mappings and their content; with the memory of each process its heirs, until everybody is born. */
  fillMemory(): void {
    const family = this.#family;
    if (!family) throw new Error('memory before its processes');
    for (const member of family.members) {
      if (member.saved.zombie) continue;
      this.#rebuild(member);
      family.bearHeirs(member);
    }
    family.joinGroups();
    const [root] = this.processes;
    if (root) this.#saved.ipc.fill(root);
    for (const { saved, process } of family.members) {
      if (!saved.zombie) continue;
      endAs(saved.core.tc?.exitStatus ?? saved.core.tc?.exitCode ?? 0, process, this.#tracer);
    }
  }

  #rebuild({ saved, process, heir }: BornProcess): void {
    const report = this.#reporter.finding.bind(this.#reporter);
    const builder = new ProcessUnderConstruction(saved, process, this.#birth, report);
    this.processes.push(builder);
    const context = {
      files: this.#files,
      pages: this.#saved.pages,
      helpers: (process: TracedProcess) => new HelpingThreads(process, this.#tracer),
      mostHelpers: this.#mostHelpers,
      lazy: this.missing.length < this.#mostLazy && !this.#sharesPages(saved),
      progress: (bytes: number): void => {
        this.#filledBytes += bytes;
        this.#reporter.progress(this.#filledBytes, this.#saved.memoryBytes);
      },
    };
    const pages = rebuildMemory(builder, context, heir ? this.#parentOf(saved) : undefined);
    this.#filled.set(saved.pid, pages.now);
    if (pages.later) this.missing.push(pages.later);
  }

  /** Each of two who have pages in common would get copies of its own. */
  #sharesPages({ pid }: SavedProcess): boolean {
    const { processes } = this.#saved.tree;
    return processes.some(
      (one) => this.#heirPids.has(one.pid) && (one.pid === pid || one.pstree.ppid === pid),
    );
  }

  openFiles(): void {
    this.#files.openAll(this.processes);
    for (const builder of this.processes) this.#enterDirectories(builder);
    runStage(this.processes, 'resources');
  }

  #enterDirectories(builder: ProcessUnderConstruction): void {
    const { fs } = builder.saved;
    if (!fs) return;
    const root = this.#files.path(fs.rootId);
    const cwd = this.#files.path(fs.cwdId);
    builder.makeRoom(2, 16384);
    // Both paths start at the root of the mount namespace: the directory first, it stays through a change of root.
    if (cwd !== undefined) builder.batch.must(SYS.chdir, builder.batch.text(cwd));
    if (root !== undefined && root !== '/')
      builder.batch.must(SYS.chroot, builder.batch.text(root));
  }

  /** A sample of what every process has now; its threads, once born, may write. @throws MemoryDiffersError */
  compareMemory(): void {
    const limit = pagesToCompare(this.processes.length);
    for (const { saved, process } of this.processes) {
      const runs = this.#filled.get(saved.pid) ?? [];
      const one = compareSample(saved.pid, process.pid, { runs }, limit);
      this.#compared.comparedPages += one.comparedPages;
      this.#compared.savedPages += one.savedPages;
    }
  }

  get compared(): Comparison {
    return this.#compared;
  }

  bearThreads(): void {
    const pids = this.#pids;
    if (!pids) throw new Error('threads before their processes');
    for (const builder of this.processes) {
      const { saved, process } = builder;
      builder.flush();
      for (const born of bearThreads(saved, process, this.#tracer, pids)) {
        builder.addThread(born.saved, born.thread);
      }
    }
    runStage(this.processes, 'threads');
  }

  /** What must come last; afterwards nothing of ours is left in the processes but the trace. */
  finish(): void {
    this.#files.finish(this.processes);
    stopAsSaved(this.processes);
    for (const builder of this.processes) {
      builder.makeRoom(1, 64);
      drainChildSignals(builder.batch);
    }
    runStage(this.processes, 'final');
    for (const builder of this.processes) finishProcess(builder);
    this.#saved.ipc.finish(this.rootPid);
  }

  /** Ends everything that was built, after a failure. */
  abandon(): void {
    this.#pids?.close();
    this.#removeIpc();
    this.#tracer.endAll();
    // A root that the engine itself gave birth to is its child, and stays a zombie until it is reaped.
    if (this.#birth === 'standalone') while (poll(-1));
    this.#closeMissing();
    this.#files.close();
  }

  #removeIpc(): void {
    try {
      if (this.#root) this.#saved.ipc.remove(this.#root.pid);
    } catch {
      // It has ended, and with a placeholder its namespace.
    }
  }

  close(): void {
    this.#pids?.close();
    this.#files.close();
    this.#closeMissing();
  }

  /** The server has its own copies; without one the processes are gone. */
  #closeMissing(): void {
    for (const { descriptor } of this.missing.splice(0)) descriptor[Symbol.dispose]();
  }

  describe(): TreeReport {
    const { name, tree, memoryBytes } = this.#saved;
    const threads = tree.processes.reduce((sum, p) => sum + p.threads.length, 0);
    return { name, processes: tree.processes.length, threads, memoryBytes };
  }
}
