// What the engine process is told (one JSON object on stdin) and what it says (JSON lines on stdout).
// The engine is a short-lived process of its own: ptrace belongs to one OS thread, and when the engine
// dies the kernel detaches and the application runs on (docs/adr/0002).
import type { Finding } from './finding.ts';
import type { ParentScope } from './image/images-directory.ts';

/** What becomes of the application once it is saved. */
export type AfterDump = 'Resume' | 'KeepFrozen' | 'Kill';

/**
 * What to do with established TCP connections: refuse, let the restored side find them reset, keep them all for a restore on
 * this machine (locked until then), or keep those between two saved processes for a restore anywhere and the
 * others for a rewind of the running ones.
 */
export type EstablishedSockets = 'Fail' | 'Close' | 'Keep' | 'KeepPairs';

/** What to do with a unix socket or a pipe whose other side is outside of the tree: refuse, or save it without that. */
export type OutsidePeers = 'Fail' | 'Ignore';

/** What to do with file locks: take them again at the restore, or refuse the dump. */
export type FileLocks = 'Keep' | 'Refuse';

/**
 * Are pages copied into the images while the application runs, before the freeze: never, always where the kernel can tell what
 * has changed since, or only where it pays.
 */
export type PreCopy = 'never' | 'always' | 'auto';

/** Whoever has started the engine says after each round of copying what comes next, by {@link EngineOrder}. */
export interface RoundsTask {
  /** each is a directory within the images of the next one */
  readonly most: number;
}

/** A JSON line on stdin, after the task. */
export type EngineOrder =
  /** how much has been written to since the last round? Answered by an event */
  | { readonly do: 'look' }
  | { readonly do: 'copy' }
  /** what is left is for the freeze */
  | { readonly do: 'freeze' };

/** One process tree, in most cases one container. */
export interface SourceTree {
  readonly name: string;
  /** root process, as the engine's pid namespace numbers it */
  readonly rootPid: number;
}

/** One process tree to save. */
export interface DumpTree extends SourceTree {
  /** existing, empty directory for the CRIU images */
  readonly imagesDir: string;
  /** `cgroup.freeze` or v1 `freezer.state` file that keeps the tree stopped after `KeepFrozen` */
  readonly freezerFile?: string;
  /** an older dump of the same tree, as a path from `imagesDir`: pages that have not changed since stay there */
  readonly parent?: string;
}

export interface DumpTask {
  readonly type: 'dump';
  readonly trees: readonly DumpTree[];
  readonly afterDump: AfterDump;
  /** longest time the application may stand still; past it the engine thaws and fails */
  readonly freezeLimitMillis: number;
  readonly establishedSockets: EstablishedSockets;
  /** with `Keep`: what locks the connections meanwhile; absent: nftables */
  readonly lockTool?: 'nftables' | 'iptables';
  /** with `Keep`: connections that nobody has accepted yet are left out instead of refused */
  readonly skipInFlight?: boolean;
  /** absent: kept */
  readonly fileLocks?: FileLocks;
  /** unix sockets; absent: refused */
  readonly outsidePeers?: OutsidePeers;
  /** pipes that are not a standard descriptor; absent: refused */
  readonly outsidePipes?: OutsidePeers;
  /**
   * open files that another one will take the place of, in CRIU's spelling: `file[MNT:INO]`, `tty[RDEV:DEV]` in
   * hexadecimal, `unix[INO]`, `pipe[INO]`; a restore wants them as {@link RestoreTree.inherited}
   */
  readonly external?: readonly string[];
  /** unlinked files above this size are refused */
  readonly maxGhostBytes: number;
  /** bytes of pages after which the dump fails, 0 for no limit */
  readonly maxBytes: number;
  /** the images need not outlive a crash of the node: they are on their way to another one; absent: durable */
  readonly passing?: boolean;
  /** absent: nobody asks what changes between two dumps */
  readonly tracking?: WriteTrackingTask;
  /** absent: never. Not with {@link DumpTree.parent}: what has changed since then is copied first anyway */
  readonly preCopy?: PreCopy;
  /** of the copying before the freeze; absent: two, one after the other */
  readonly rounds?: RoundsTask;
  /** only tell what could not be saved */
  readonly dryRun: boolean;
}

/** What changes between dumps is watched by the kernel for a process that outlives the engine; files say where it is. */
export interface WriteTrackingTask {
  /** that the dump named by {@link DumpTree.parent} left; it is used up */
  readonly previousFile?: string;
  /** to be left for the next dump; absent: the watch ends */
  readonly nextFile?: string;
}

/** An open descriptor of the engine's that takes the place of a saved file. */
export interface InheritedDescriptor {
  readonly fd: number;
  /** `pipe[INO]`, `socket[INO]`, `file[MNT:INO]`, `tty[RDEV:DEV]` of the source, or the path that was open */
  readonly resource: string;
}

/** One process tree to rebuild. */
export interface RestoreTree {
  readonly name: string;
  readonly imagesDir: string;
  /** morph: the placeholder that becomes the saved root; absent: standalone birth in the engine's namespaces */
  readonly placeholderPid?: number;
  /** where older directories of an incremental chain may lie; absent: beside `imagesDir` */
  readonly parents?: ParentScope;
  /** absent: none */
  readonly inherited?: readonly InheritedDescriptor[];
  /** the placeholder is what a {@link RewindTask} left, and holds the connections that went on; absent: no */
  readonly rewound?: boolean;
  /** standalone: a child of whoever has started the engine, in the place of the engine's own; absent: no */
  readonly asSibling?: boolean;
}

export interface RestoreTask {
  readonly type: 'restore';
  readonly trees: readonly RestoreTree[];
  /** leave the restored tree ptrace-detached but stopped */
  readonly leaveStopped: boolean;
  /** the processes run before all of their pages are there, where that is to be had; absent: they do not */
  readonly lazyPages?: LazyPagesTask;
}

export interface LazyPagesTask {
  /** what the process that brings them tells of troubles is appended to it */
  readonly logFile: string;
}

/** Takes away what engines that were killed left in the trees of a dump. */
export interface CleanUpTask {
  readonly type: 'clean-up';
  readonly trees: readonly SourceTree[];
  /** as in {@link DumpTask} */
  readonly freezeLimitMillis: number;
}

/** A running tree that is to become a saved one again. */
export interface RewindTree extends SourceTree {
  /** of the saved tree */
  readonly imagesDir: string;
  /** mount points whose files will be as they were saved before the restore begins; `/` is the root file system */
  readonly putBack: readonly string[];
}

/** Turns the root of each running tree into the placeholder that a restore needs, and ends everything below it. */
export interface RewindTask {
  readonly type: 'rewind';
  readonly trees: readonly RewindTree[];
  /** as in {@link DumpTask}; after it nothing is refused any more */
  readonly freezeLimitMillis: number;
  /** only tell what stands in the way: the application is stopped for a moment and runs on */
  readonly dryRun: boolean;
}

export type EngineTask = DumpTask | RestoreTask | CleanUpTask | RewindTask;

/** Sums of one saved or restored tree. */
export interface TreeReport {
  readonly name: string;
  readonly processes: number;
  readonly threads: number;
  readonly memoryBytes: number;
}

/** One round of copying while the application runs: all pages, or what was written to since the round before. */
export interface CopiedRound {
  /** from 1 on */
  readonly number: number;
  /** of its images */
  readonly bytes: number;
  readonly millis: number;
}

/** Pages that were copied while the application ran, before the freeze. */
export interface PreCopyReport {
  readonly rounds: number;
  /** of all rounds; a page that changed in between counts again */
  readonly bytes: number;
  /** written to after the last round, and left for the freeze */
  readonly dirtyBytes: number;
}

export interface DumpResult {
  readonly trees: readonly TreeReport[];
  /** application stopped until application running, as the engine's monotonic clock saw it; 0 with KeepFrozen and Kill */
  readonly freezeMillis: number;
  readonly bytes: number;
  /** absent where nobody watches what changes */
  readonly preCopy?: PreCopyReport;
  readonly findings: readonly Finding[];
  /** CPU features, kernel and so on that a target must have */
  readonly requirements: Requirements;
}

export interface Requirements {
  readonly arch: string;
  readonly kernelRelease: string;
  /** size of the vDSO and of its data, bytes; equal sizes allow the plain move of engine.md D5 */
  readonly vdsoBytes: number;
  readonly vdsoDigest: string;
  /** XCR0 of the source: extended CPU state that the restored registers need */
  readonly xstateFeatures: string;
  readonly cpuFlags: readonly string[];
  /** CLOCK_MONOTONIC of the application at the freeze, nanoseconds (decimal): the target's must not be earlier */
  readonly monotonicNanos: string;
  /** the same of CLOCK_BOOTTIME */
  readonly boottimeNanos: string;
  readonly memoryBytes: number;
  readonly threads: number;
  /** `A -> B` of connections that only a rewind of the running pod keeps, not all if there are many; absent: none */
  readonly connections?: readonly string[];
}

export interface RestoreResult {
  readonly trees: readonly TreeReport[];
  /** root of each tree, as the engine's pid namespace numbers it */
  readonly rootPids: readonly number[];
  readonly restoreMillis: number;
  /** read back from the processes before their threads began, and found as saved */
  readonly comparedPages: number;
  /** private pages of all processes that were filled from the images */
  readonly savedPages: number;
  /** absent: all memory is there */
  readonly lazy?: LazyReport;
  readonly findings: readonly Finding[];
}

/** Pages that are brought while the restored processes run. The images are in use until the server ends. */
export interface LazyReport {
  /** as the engine's pid namespace numbers it; it ends when all pages are there: status 0, or when they were lost: 1 */
  readonly serverPid: number;
  readonly bytes: number;
}

export interface CleanUpResult {
  /** dead snapshots that were reaped and mappings that were taken away */
  readonly removed: number;
  /** what is still in use, and goes with a later dump or with its process; with `removed` 0, too, nothing was touched */
  readonly left: number;
  readonly freezeMillis: number;
}

export interface RewindResult {
  /** besides the roots, which became placeholders */
  readonly endedProcesses: number;
  /** of a dry run, after which the application runs on; else 0 */
  readonly freezeMillis: number;
  readonly findings: readonly Finding[];
}

export type EngineResult = DumpResult | RestoreResult | CleanUpResult | RewindResult;

/** Machine-readable failure. `code` is CamelCase and stable. */
export interface EngineFailure {
  readonly code: string;
  readonly message: string;
  readonly call?: string;
  readonly errno?: string;
  readonly pid?: number;
  readonly findings?: readonly Finding[];
}

export type DumpStage =
  | 'pre-copying'
  | 'seizing'
  | 'preparing'
  | 'frozen'
  | 'thawed'
  | 'saving-pages'
  | 'saving-state'
  | 'done';
export type RestoreStage =
  | 'validating'
  | 'building-tree'
  | 'filling-memory'
  | 'opening-files'
  | 'comparing-memory'
  | 'starting-threads'
  | 'released';

/** Besides those of the dump that it begins like. From this one on the application is gone. */
export type RewindStage = 'rewinding';

export type EngineEvent =
  | { readonly event: 'ready' }
  | {
      readonly event: 'stage';
      readonly stage: DumpStage | RestoreStage | RewindStage;
      readonly atMillis: number;
    }
  | { readonly event: 'progress'; readonly bytesDone: number; readonly bytesTotal: number }
  | { readonly event: 'finding'; readonly finding: Finding }
  /** the next order is awaited */
  | { readonly event: 'round'; readonly round: CopiedRound }
  /** the answer to `look` */
  | { readonly event: 'dirty'; readonly bytes: number }
  | { readonly event: 'result'; readonly result: EngineResult }
  | { readonly event: 'failed'; readonly failure: EngineFailure };
