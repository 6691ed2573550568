// Small facts of a process: state, name, personality, coredump filter, OOM score, subreaper, creation mask.
import { writeFileSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import type { TaskCoreEntry } from '../image/messages/core.ts';
import { readSmallProc, tryReadSmallProc } from '../linux/procfs/read.ts';
import { parseStatus, readStat, STAT } from '../linux/procfs/status.ts';
import { SIGNAL, STOP_SIGNALS } from '../linux/signals.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import type { ProcessKind } from './state-kind.ts';

/** task_core_entry.task_state */
export const TASK_STATE = { ALIVE: 1, DEAD: 2, STOPPED: 3 } as const;

const PR_SET_CHILD_SUBREAPER = 36;
const PR_GET_CHILD_SUBREAPER = 37;

const number = (text: string | undefined, radix = 10): number | undefined =>
  text === undefined ? undefined : Number.parseInt(text.trim(), radix);

export const taskFacts: ProcessKind = {
  name: 'task-facts',
  scope: 'process',
  stage: 'final',

  collect({ process, statusText }, remote) {
    const { pid, leader } = process;
    const stopped = leader.groupStopped;
    const personalityText = tryReadSmallProc(`/proc/${pid}/personality`);
    const coredumpText = tryReadSmallProc(`/proc/${pid}/coredump_filter`);
    const oomText = tryReadSmallProc(`/proc/${pid}/oom_score_adj`);
    const stat = readStat(pid);
    const text = statusText();
    const subreaper = remote.space(8);
    remote.must(SYS.prctl, PR_GET_CHILD_SUBREAPER, subreaper);
    return ({ task, threads, fs }) => {
      const core = threads[0]!.core.threadCore;
      const personality = number(personalityText, 16) ?? 0;
      const coredumpFilter = number(coredumpText, 16);
      task.taskState = stopped ? TASK_STATE.STOPPED : TASK_STATE.ALIVE;
      if (stopped) Object.assign(task, stopOf(Number(stat(STAT.exitCode))));
      task.exitCode = 0;
      // CRIU reads the hexadecimal file as decimal; the exact value has a field of its own.
      task.personality = Number.parseInt(personality.toString(16), 10) || 0;
      task.personalityExact = personality;
      task.flags = Number(stat(STAT.flags));
      task.blkSigset = core.blkSigset ?? 0n;
      task.comm = core.comm ?? '';
      const oomScoreAdj = number(oomText);
      if (oomScoreAdj !== undefined) task.oomScoreAdj = oomScoreAdj;
      if (coredumpFilter !== undefined) task.coredumpFilter = coredumpFilter;
      task.childSubreaper = subreaper.int32(0) !== 0;
      fs.umask = parseStatus(text).umask;
    };
  },

  restore(saved, builder) {
    const { batch, process, birth } = builder;
    const task = saved.core.tc;
    if (saved.fs?.umask !== undefined) batch.must(SYS.umask, saved.fs.umask);
    if (task?.childSubreaper) batch.must(SYS.prctl, PR_SET_CHILD_SUBREAPER, 1);
    if (task?.personalityExact) batch.must(SYS.personality, task.personalityExact);
    if (task?.coredumpFilter !== undefined) {
      const filter = `0x${task.coredumpFilter.toString(16)}`;
      write('CoredumpFilter', `/proc/${process.pid}/coredump_filter`, filter, builder);
    }
    // A pod's OOM score is its quality of service class, set by the runtime.
    if (birth === 'standalone' && task?.oomScoreAdj !== undefined) {
      write('OomScore', `/proc/${process.pid}/oom_score_adj`, String(task.oomScoreAdj), builder);
    }
  },
};

/**
 * @param code what the parent would be told, 0 when it was (Linux 5.17); older kernels tell of our own stop, and then it
 *   is told anew, of a SIGSTOP
 */
function stopOf(code: number): Pick<TaskCoreEntry, 'stopSigno' | 'stopHeard'> {
  const stopSigno = STOP_SIGNALS.has(code) ? code : SIGNAL.SIGSTOP;
  return code === 0 ? { stopSigno, stopHeard: true } : { stopSigno };
}

/** What the kernel does not let us write is told, and no behaviour of the application; CRIU is silent about it. */
function write(code: string, path: string, value: string, builder: ProcessBuilder): void {
  try {
    if (readSmallProc(path).trim() !== value) writeFileSync(path, value);
  } catch (error) {
    builder.report({
      code,
      severity: 'loss',
      pid: builder.saved.pid,
      object: `${path}: ${value} (${error instanceof Error ? error.message : String(error)})`,
      advice: 'the engine needs CAP_SYS_RESOURCE to give a process more than it is born with',
    });
  }
}
