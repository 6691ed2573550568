// Programs in which remote calls would do harm or cannot be made: refused before the first one.
import { REG, USER_CS_64 } from './arch/x86-64.ts';
import { type Finding, RefusedError, refusal } from './finding.ts';
import { LinuxError } from './linux/error.ts';
import * as ptrace from './linux/ptrace.ts';
import type { SourceTree } from './protocol.ts';
import { listMembers } from './state/process-tree.ts';
import { Resident, type ResidentPlan } from './tracee/resident.ts';
import type { TracedProcess } from './tracee/traced-process.ts';
import type { TracedThread } from './tracee/traced-thread.ts';
import type { Tracer } from './tracee/tracer.ts';

interface Obstacle {
  readonly code: string;
  readonly advice: string;
  readonly concerns: (thread: TracedThread) => boolean;
}

const OBSTACLES: readonly Obstacle[] = [
  {
    // Registers, signal frames and call numbers are other than our images can hold, and our 64-bit code would kill it.
    code: 'Compat32Bit',
    advice: '32-bit programs are not supported: run a 64-bit build',
    concerns: ({ registers }) => registers[REG.cs] !== USER_CS_64,
  },
  {
    // Every call of ours would come back to it as SIGSYS.
    code: 'SyscallUserDispatch',
    advice: 'it answers system calls itself, prctl(PR_SET_SYSCALL_USER_DISPATCH): run it without',
    concerns: ({ tid }) => ptrace.dispatchesSystemCalls(tid),
  },
];

/**
 * @param trees stopped, untouched so far
 * @throws RefusedError naming every process and the first thread that is concerned
 */
export function refuseUntouchable(tracer: Tracer, trees: readonly SourceTree[]): void {
  // Who belongs to which tree takes a file for each thread to know, and hardly ever matters.
  if (![...tracer.processes.values()].some(judge)) return;
  const findings = trees.flatMap(({ name, rootPid }) =>
    listMembers(tracer, rootPid).flatMap(({ process }) => {
      const finding = process && judge(process);
      return finding ? [{ ...finding, tree: name }] : [];
    }),
  );
  if (findings.length > 0) throw new RefusedError(findings);
}

function judge({ nsPid, threads }: TracedProcess): Finding | undefined {
  for (const thread of threads.values()) {
    const obstacle = OBSTACLES.find(({ concerns }) => concerns(thread));
    if (!obstacle) continue;
    const { code, advice } = obstacle;
    return { ...refusal(code, nsPid, `thread ${thread.nsTid}`, advice), tid: thread.nsTid };
  }
  return undefined;
}

/** Why the kernel may give no memory for the interpreter. */
const DENIALS: Readonly<Record<string, { readonly code: string; readonly advice: string }>> = {
  EACCES: {
    code: 'ExecutableMemoryDenied',
    advice: 'it may have no executable memory of its own: allow it (SELinux: execmem)',
  },
  EAGAIN: {
    code: 'MemoryLockLimit',
    advice: 'all its new memory is locked (mlockall), and no more may be: raise RLIMIT_MEMLOCK',
  },
  ENOMEM: {
    code: 'AddressSpaceLimit',
    advice: 'it has no room for another mapping: raise RLIMIT_AS or vm.max_map_count',
  },
};

/** Maps the interpreter into a stopped process. @throws RefusedError when the process may not have such a mapping */
export function bringIn(process: TracedProcess, plan: ResidentPlan): void {
  try {
    Resident.map(process, plan);
  } catch (error) {
    const denial = error instanceof LinuxError ? DENIALS[error.errno] : undefined;
    if (!denial) throw error;
    const object = 'memory for the interpreter';
    throw new RefusedError([refusal(denial.code, process.nsPid, object, denial.advice)]);
  }
}
