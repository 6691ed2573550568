// What a thread set for itself by prctl(2) and arch_prctl(2), one line of the table each; most threads have none of it, and a
// call more in each of thousands would lengthen every freeze.
import { SYS } from '../arch/x86-64.ts';
import type { ThreadCoreEntry } from '../image/messages/core.ts';
import { errnoName, syscall } from '../linux/ffi.ts';
import { readSmallProc } from '../linux/procfs/read.ts';
import type { ThreadBuilder } from '../restore/builder.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { RemoteResult } from '../tracee/remote-word.ts';
import type { CoreDraft, Draft } from './records.ts';
import type { ProcessKind, ThreadKind } from './state-kind.ts';

const PR_GET_TSC = 25;
const PR_SET_TSC = 26;
const PR_TSC_ENABLE = 1;
const PR_MCE_KILL = 33;
const PR_MCE_KILL_GET = 34;
const PR_MCE_KILL_SET = 1;
const PR_MCE_KILL_DEFAULT = 2;
const PR_GET_SPECULATION_CTRL = 52;
const PR_SET_SPECULATION_CTRL = 53;
const PR_SET_IO_FLUSHER = 57;
const PR_GET_IO_FLUSHER = 58;
const ARCH_GET_CPUID = 0x1011;
const ARCH_SET_CPUID = 0x1012;
/** the answer is one that a thread may change */
const PR_SPEC_PRCTL = 1;
const PR_SPEC_ENABLE = 2;
/** DISABLE, FORCE_DISABLE, DISABLE_NOEXEC */
const PR_SPEC_DISABLED = 4 | 8 | 16;

interface Switch {
  readonly name: string;
  /** can a thread of this machine have it at all? Asked once, of the engine itself */
  readonly exists: () => boolean;
  readonly ask: (remote: RemoteBatch) => () => number;
  /** is the answer worth a call in the restored thread? */
  readonly isSet: (value: number) => boolean;
  readonly set: (value: number) => readonly [number, ...number[]];
}

const everywhere = (): boolean => true;

/** An error is an answer that is not set. */
const plain =
  (nr: number, ...args: readonly number[]) =>
  (remote: RemoteBatch) => {
    const asked = remote.call(nr, ...args);
    return (): number => asked.number;
  };

function speculation(name: string, which: number, changed: number): Switch {
  const controlled = (value: number): boolean => value > 0 && (value & PR_SPEC_PRCTL) !== 0;
  return {
    name,
    exists: () => controlled(syscall(SYS.prctl, PR_GET_SPECULATION_CTRL, which, 0, 0, 0)),
    ask: plain(SYS.prctl, PR_GET_SPECULATION_CTRL, which, 0, 0, 0),
    isSet: (value) => controlled(value) && (value & changed) !== 0,
    set: (value) => [SYS.prctl, PR_SET_SPECULATION_CTRL, which, value & ~PR_SPEC_PRCTL, 0, 0],
  };
}

/** Nothing but the thread itself tells them. */
const HIDDEN: readonly Switch[] = [
  {
    name: 'tsc',
    exists: everywhere,
    ask: (remote) => {
      const answer = remote.space(4);
      remote.call(SYS.prctl, PR_GET_TSC, answer, 0, 0, 0);
      return () => answer.int32(0);
    },
    isSet: (value) => value > PR_TSC_ENABLE,
    set: (value) => [SYS.prctl, PR_SET_TSC, value, 0, 0, 0],
  },
  {
    name: 'cpuid',
    exists: everywhere,
    ask: plain(SYS.arch_prctl, ARCH_GET_CPUID, 0),
    isSet: (value) => value === 0,
    set: (value) => [SYS.arch_prctl, ARCH_SET_CPUID, value],
  },
  {
    name: 'mce-kill',
    exists: everywhere,
    ask: plain(SYS.prctl, PR_MCE_KILL_GET, 0, 0, 0, 0),
    isSet: (value) => value >= 0 && value !== PR_MCE_KILL_DEFAULT,
    set: (value) => [SYS.prctl, PR_MCE_KILL, PR_MCE_KILL_SET, value, 0, 0],
  },
  {
    name: 'io-flusher',
    exists: everywhere,
    ask: plain(SYS.prctl, PR_GET_IO_FLUSHER, 0, 0, 0, 0),
    isSet: (value) => value === 1,
    set: (value) => [SYS.prctl, PR_SET_IO_FLUSHER, value, 0, 0, 0],
  },
];

const SPECULATION: readonly Switch[] = [
  speculation('store-bypass', 0, PR_SPEC_DISABLED),
  speculation('indirect-branch', 1, PR_SPEC_DISABLED),
];

const CACHE_FLUSH = speculation('l1d-flush', 2, PR_SPEC_ENABLE);
const SWITCHES: readonly Switch[] = [...HIDDEN, ...SPECULATION, CACHE_FLUSH];

const existing = (some: readonly Switch[]): Switch[] => some.filter(({ exists }) => exists());
const hidden = existing([...HIDDEN, CACHE_FLUSH]);
const told = existing(SPECULATION);

/** Lines of /proc/PID/status on speculation; those of the engine are the ordinary ones. */
export const speculationOf = (status: string): string =>
  (status.match(/^Speculation.*$/gm) ?? []).join('\n');
const ordinary = speculationOf(readSmallProc('/proc/self/status'));

type Saved = NonNullable<Draft<ThreadCoreEntry>['switches']>;

/** Queues the questions. @returns what of it is set */
function ask(some: readonly Switch[], remote: RemoteBatch): () => Saved {
  const asked = some.map((one) => ({ one, answer: one.ask(remote) }));
  return () =>
    asked.flatMap(({ one: { name, isSet }, answer }) => {
      const value = answer();
      return isSet(value) ? [{ name, value }] : [];
    });
}

function add({ threadCore }: CoreDraft, set: Saved): void {
  if (set.length > 0) threadCore.switches = [...(threadCore.switches ?? []), ...set];
}

/**
 * What nobody tells from outside: asked of the leader and, when that has any of it, of all others. Threads are born with what
 * their creator has.
 */
export const hiddenSwitches: ProcessKind = {
  name: 'hidden-switches',
  scope: 'process',
  stage: 'final',

  collect({ process, afterwards }, remote) {
    const leader = ask(hidden, remote);
    const others: (() => Saved)[] = [];
    afterwards(() => {
      if (leader().length === 0) return;
      for (const thread of process.orderedThreads.slice(1)) {
        const batch = new RemoteBatch(thread);
        others.push(ask(hidden, batch));
        batch.run();
      }
    });
    return ({ threads }) => {
      [leader, ...others].forEach((answer, i) => {
        add(threads[i]!.core, answer());
      });
    };
  },

  /** By `switches`, with all others of a thread. */
  restore() {},
};

export const switches: ThreadKind = {
  name: 'switches',
  scope: 'thread',
  stage: 'final',

  collect({ statusText }, remote) {
    if (speculationOf(statusText()) === ordinary) return () => {};
    const set = ask(told, remote);
    return (core) => {
      add(core, set());
    };
  },

  restore(core, builder) {
    const saved = core.threadCore?.switches ?? [];
    if (saved.length === 0) return;
    builder.makeRoom(SWITCHES.length, 0);
    const asked = saved.map(({ name, value }) => {
      const known = SWITCHES.find((one) => one.name === name);
      return { name, result: known && builder.batch.call(...known.set(value)) };
    });
    builder.flush();
    for (const { name, result } of asked) {
      if (!result || result.value < 0n) reportLoss(name, result, builder);
    }
  },
};

function reportLoss(name: string, result: RemoteResult | undefined, builder: ThreadBuilder): void {
  const why = result ? errnoName(Number(-result.value)) : 'unknown here';
  builder.process.report({
    code: 'ThreadSwitch',
    severity: 'loss',
    pid: builder.process.saved.pid,
    tid: builder.saved.tid,
    object: `${name}: ${why}`,
    advice: 'the kernel or CPU here cannot do it, or the target lacks a capability (io-flusher)',
  });
}
