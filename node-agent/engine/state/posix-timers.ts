// POSIX timers, timer_create(2): the kernel lists them in /proc/PID/timers, their remaining time only the process can ask.
import { SYS } from '../arch/x86-64.ts';
import type { PosixTimerEntry } from '../image/messages/signals.ts';
import { innermost, readStatus } from '../linux/procfs/status.ts';
import { tryReadProc } from '../linux/procfs/read.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { SavedProcess } from './records.ts';
import type { ProcessKind } from './state-kind.ts';
import { armFromPast, timerOf, unknownOverruns } from './timer-overruns.ts';

const SIGEV_NONE = 1;
const SIGEV_THREAD_ID = 4;
const ITIMERSPEC_BYTES = 32;
const SIGEVENT_BYTES = 64;
const PR_TIMER_CREATE_RESTORE_IDS = 77;
const RESTORE_IDS_ON = 1;
const RESTORE_IDS_OFF = 0;
/** without PR_TIMER_CREATE_RESTORE_IDS (Linux 6.15) ids are reached by creating and deleting */
const MAX_ID_ATTEMPTS = 4096;

/** One block of /proc/PID/timers, proc_pid_timers(5). */
interface ListedTimer {
  readonly id: number;
  readonly signal: number;
  readonly value: bigint;
  readonly notify: number;
  /** thread that is notified, in the reader's pid namespace */
  readonly target: number;
  readonly clock: number;
}

const NOTIFY: Readonly<Record<string, number>> = { signal: 0, none: SIGEV_NONE, thread: 2 };

export function parseTimers(text: string): ListedTimer[] {
  return text
    .split(/^ID: /m)
    .slice(1)
    .map((block) => {
      const [id, ...lines] = block.split('\n');
      const field = (name: string): string =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
      const [signal, value] = field('signal').split('/');
      const [how, target] = field('notify').split('/');
      const [kind, number] = (target ?? '').split('.');
      const base = NOTIFY[how ?? ''] ?? 0;
      return {
        id: Number(id),
        signal: Number(signal),
        value: BigInt(`0x${value || '0'}`),
        notify: kind === 'tid' ? base | SIGEV_THREAD_ID : base,
        target: Number(number ?? 0),
        clock: Number(field('ClockID')),
      };
    });
}

export const posixTimers: ProcessKind = {
  name: 'posix-timers',
  scope: 'process',
  stage: 'final',

  collect({ process, report }, remote) {
    const listed = parseTimers(tryReadProc(`/proc/${process.pid}/timers`) ?? '');
    const ids = listed.map(({ id }) => id);
    if (ids.length > 0) unknownOverruns(process, ids).forEach(report);
    const asked = listed.map((timer) => {
      const spec = remote.space(ITIMERSPEC_BYTES);
      remote.must(SYS.timer_gettime, timer.id, spec);
      const overrun = remote.call(SYS.timer_getoverrun, timer.id);
      const notified = (timer.notify & SIGEV_THREAD_ID) !== 0;
      return { timer, spec, overrun, notifyThreadId: notified && innerTid(process, timer.target) };
    });
    return ({ task }) => {
      const posix = asked.map(
        ({ timer, spec, overrun, notifyThreadId }): PosixTimerEntry => ({
          itId: timer.id,
          // Clocks of processes and threads have negative numbers.
          clockId: timer.clock >>> 0,
          siSigno: timer.signal,
          itSigevNotify: timer.notify,
          sivalPtr: timer.value,
          overrun: Math.max(0, overrun.number),
          isec: spec.word(0),
          insec: spec.word(1),
          vsec: spec.word(2),
          vnsec: spec.word(3),
          ...(notifyThreadId !== false && { notifyThreadId }),
        }),
      );
      task.timers = { ...task.timers, posix };
    };
  },

  restore(saved, builder) {
    const timers = saved.core.tc?.timers?.posix ?? [];
    if (timers.length === 0) return;
    builder.flush();
    const exact = chooseIds(builder, RESTORE_IDS_ON);
    for (const timer of timers) create(timer, builder, exact);
    const waiting = waitingTimers(saved);
    for (const timer of timers) {
      if (!armFromPast(timer, waiting.has(timer.itId), builder)) arm(timer, builder);
    }
    builder.flush();
    if (exact) chooseIds(builder, RESTORE_IDS_OFF);
  },
};

/** Ids of those whose signal is in a queue. */
function waitingTimers({ core, threads }: SavedProcess): ReadonlySet<number | undefined> {
  const queues = [core.tc?.signalsS, ...threads.map((thread) => thread.core.threadCore?.signalsP)];
  return new Set(
    queues.flatMap((queue) => queue?.signals ?? []).map((one) => timerOf(one.siginfo)),
  );
}

/** A thread as the application knows it. */
const innerTid = (process: TracedProcess, tid: number): number =>
  process.threads.get(tid)?.nsTid ?? innermost(readStatus(tid).nsPids);

/** Lets timer_create take the wanted id from where it would write the new one; false on kernels before 6.15. */
function chooseIds(builder: ProcessBuilder, mode: number): boolean {
  const asked = builder.batch.call(SYS.prctl, PR_TIMER_CREATE_RESTORE_IDS, mode, 0, 0, 0);
  builder.flush();
  return asked.value >= 0n;
}

function create(timer: PosixTimerEntry, builder: ProcessBuilder, exact: boolean): void {
  const event = Buffer.alloc(SIGEVENT_BYTES);
  event.writeBigUInt64LE(timer.sivalPtr, 0);
  event.writeInt32LE(timer.siSigno, 8);
  event.writeInt32LE(timer.itSigevNotify, 12);
  event.writeInt32LE(timer.notifyThreadId ?? 0, 16);
  for (let attempt = 0; attempt < MAX_ID_ATTEMPTS; attempt++) {
    builder.makeRoom(1, SIGEVENT_BYTES + 16);
    const { batch } = builder;
    const id = Buffer.alloc(4);
    id.writeInt32LE(timer.itId, 0);
    const answer = batch.bytes(id);
    batch.must(SYS.timer_create, timer.clockId | 0, batch.bytes(event), answer);
    builder.flush();
    const got = answer.int32(0);
    if (got === timer.itId) return;
    batch.must(SYS.timer_delete, got);
    builder.flush();
    if (exact || got > timer.itId) break;
  }
  throw new Error(`timer id ${timer.itId} cannot be had in process ${builder.saved.pid}`);
}

function arm(timer: PosixTimerEntry, builder: ProcessBuilder): void {
  if (timer.isec + timer.insec + timer.vsec + timer.vnsec === 0n) return;
  const spec = Buffer.alloc(ITIMERSPEC_BYTES);
  spec.writeBigUInt64LE(timer.isec, 0);
  spec.writeBigUInt64LE(timer.insec, 8);
  spec.writeBigUInt64LE(timer.vsec, 16);
  spec.writeBigUInt64LE(timer.vnsec, 24);
  builder.makeRoom(1, ITIMERSPEC_BYTES);
  builder.batch.must(SYS.timer_settime, timer.itId, 0, builder.batch.bytes(spec), 0);
}
