// Who may run beside a thread on the other half of a CPU core: prctl(PR_SCHED_CORE). Not saved yet, but told.
import { SYS } from '../arch/x86-64.ts';
import { allocate, syscall } from '../linux/ffi.ts';
import type { ProcessKind } from './state-kind.ts';

const PR_SCHED_CORE = 62;
const PR_SCHED_CORE_GET = 0;
const PIDTYPE_PID = 0;
const answer = allocate(4096);

/** A thread's cookie: 0 for none, undefined where the kernel (CONFIG_SCHED_CORE) or the CPU has no such thing. */
type AskCookie = (tid: number) => bigint | undefined;

function askKernel(tid: number): bigint | undefined {
  const args = [PR_SCHED_CORE, PR_SCHED_CORE_GET, tid, PIDTYPE_PID, answer.address] as const;
  return syscall(SYS.prctl, ...args) === 0 ? answer.words[0] : undefined;
}

const nobody: AskCookie = () => undefined;

/** @param ask of the engine itself it is asked once: on most machines nobody has one */
export function coreSchedulingOf(ask: AskCookie): ProcessKind {
  const cookieOf = ask(0) === undefined ? nobody : ask;
  return {
    name: 'core-scheduling',
    scope: 'process',
    stage: 'resources',

    collect({ process, report }) {
      const threads = cookieOf === nobody ? [] : [...process.threads.values()];
      const marked = threads.filter(({ tid }) => (cookieOf(tid) ?? 0n) !== 0n).length;
      if (marked > 0) {
        report({
          code: 'CoreScheduling',
          severity: 'loss',
          pid: process.nsPid,
          object: `core scheduling cookie of ${marked} threads`,
          advice: 'set it again after the restore (coresched(1)): others may share its cores',
        });
      }
      return () => {};
    },

    restore() {},
  };
}

export const coreScheduling = coreSchedulingOf(askKernel);
