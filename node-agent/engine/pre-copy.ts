// The first part of a dump of much memory: its pages go into the images while the application runs, and the kernel notes what it
// writes to meanwhile. The freeze then has only that left. docs/adr/0022-pre-copy.md, 0024-pre-copy-migration.md
import { RefusedError, refusal } from './finding.ts';
import { canWatchWrites } from './linux/userfaultfd.ts';
import type { WriteTracker } from './memory/write-tracker.ts';
import type { Orders } from './orders.ts';
import { ArmedTree, type RoundProgress } from './pre-copy-tree.ts';
import type { DumpTask } from './protocol.ts';
import type { Reporter } from './reporter.ts';
import { SizeLimitError } from './size-limit.ts';

/** Where nobody decides: all, and what has changed meanwhile. */
const ROUNDS = 2;

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
  rounds = 0;

  /** Trackers that nobody has taken over. */
  [Symbol.dispose](): void {
    for (const { tracker } of this.processes.splice(0)) tracker[Symbol.dispose]();
  }
}

/**
 * Copies all trees for which that pays; the application stops for a moment, in which its processes make the descriptors that
 * watch them.
 *
 * @param orders what comes after each round, where the task leaves that to whoever has started the engine
 * @throws RefusedError, UnstoppableError and others as the dump itself would
 */
export function preCopy(task: DumpTask, reporter: Reporter, orders?: Orders): PreCopied {
  const copied = new PreCopied();
  if (!mayPreCopy(task)) return copied;
  using armed = new DisposableStack();
  const trees = task.trees
    .map((tree) => armed.use(ArmedTree.arm(tree, task)))
    .filter(({ isEmpty }) => !isEmpty);
  if (trees.length === 0) return copied;
  reporter.stage('pre-copying');
  const most = task.rounds?.most ?? ROUNDS;
  for (const tree of trees) tree.makeFolders(most);
  copied.rounds = copyRounds(trees, { task, most, reporter, orders });
  for (const tree of trees) {
    copied.bytes.set(tree.name, tree.bytes);
    copied.processes.push(...tree.handOver());
  }
  return copied;
}

/** @throws RefusedError where rounds were asked for, and this kernel cannot tell what has changed */
function mayPreCopy({ preCopy: mode = 'never', trees, dryRun, rounds }: DumpTask): boolean {
  const isIncremental = trees.some(({ parent }) => parent !== undefined);
  if (mode === 'never' || dryRun || isIncremental) return false;
  const able = canWatchWrites();
  if (rounds && !able) {
    const advice = 'this node needs Linux 6.7 or later; use a strategy without rounds';
    throw new RefusedError([refusal('WriteTracking', 0, 'what changes between rounds', advice)]);
  }
  return able;
}

interface Rounds {
  readonly task: DumpTask;
  readonly most: number;
  readonly reporter: Reporter;
  readonly orders: Orders | undefined;
}

/** @returns how many there were */
function copyRounds(trees: readonly ArmedTree[], rounds: Rounds): number {
  const { most, reporter, orders } = rounds;
  const progress = progressOf(rounds);
  for (let number = 1; ; number++) {
    const start = performance.now();
    const bytes = sum(trees.map((tree) => tree.copyRound(progress)));
    const millis = performance.now() - start;
    if (orders) reporter.round({ number, bytes, millis });
    if (orders ? !isAnotherWanted(trees, orders, reporter) : number === most) {
      for (const tree of trees) tree.fillFolders();
      return number;
    }
    if (number === most) throw new Error(`a round after the last of ${most} was asked for`);
  }
}

function isAnotherWanted(trees: readonly ArmedTree[], orders: Orders, reporter: Reporter): boolean {
  for (;;) {
    const order = orders.next();
    if (order.do !== 'look') return order.do === 'copy';
    reporter.dirty(sum(trees.map((tree) => tree.writtenBytes())));
  }
}

function progressOf({ task: { maxBytes }, reporter }: Rounds): RoundProgress {
  /** of all rounds */
  let bytes = 0;
  return () => {
    const before = bytes;
    return (done, total) => {
      if (maxBytes > 0 && before + total > maxBytes) throw new SizeLimitError(maxBytes);
      bytes = before + done;
      reporter.progress(bytes, before + total);
    };
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
