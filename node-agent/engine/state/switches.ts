// What a thread set for itself by prctl(2) and arch_prctl(2), one line of the table each; most threads have none of it.
import { SYS } from '../arch/x86-64.ts';
import { errnoName, syscall } from '../linux/ffi.ts';
import type { ThreadBuilder } from '../restore/builder.ts';
import type { RemoteBatch, RemoteResult } from '../tracee/remote-batch.ts';
import type { ThreadKind } from './state-kind.ts';

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

const SWITCHES: readonly Switch[] = [
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
  speculation('store-bypass', 0, PR_SPEC_DISABLED),
  speculation('indirect-branch', 1, PR_SPEC_DISABLED),
  speculation('l1d-flush', 2, PR_SPEC_ENABLE),
];

const existing = SWITCHES.filter(({ exists }) => exists());

export const switches: ThreadKind = {
  name: 'switches',
  scope: 'thread',
  stage: 'final',

  collect(_subject, remote) {
    const asked = existing.map((one) => ({ one, answer: one.ask(remote) }));
    return ({ threadCore }) => {
      const set = asked.flatMap(({ one: { name, isSet }, answer }) => {
        const value = answer();
        return isSet(value) ? [{ name, value }] : [];
      });
      if (set.length > 0) threadCore.switches = set;
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
