// Expirations of a POSIX timer that its signal could not tell one by one: timer_getoverrun(2). No call sets their number, but
// a timer that is armed from the past counts what it has missed, and goes on at the same moments as before.
import { SYS } from '../arch/x86-64.ts';
import type { Finding } from '../finding.ts';
import type { PosixTimerEntry } from '../image/messages/signals.ts';
import { pendingSignals } from '../linux/ptrace.ts';
import { signalBit } from '../linux/signals.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';

const TIMER_ABSTIME = 1;
const SI_TIMER = -2;
const SI_CODE_AT = 8;
const SI_TIMER_ID_AT = 16;
const SIGEV_THREAD_ID = 4;
const ITIMERSPEC_BYTES = 32;
const TIMESPEC_BYTES = 16;
const MASK_BYTES = 8;
const NANOS_PER_SECOND = 1_000_000_000n;
/** for the expiration, which comes at once, to be noticed */
const LONGEST_WAIT_NANOS = 100_000_000n;

/** Id of the timer whose signal this is. */
export function timerOf(siginfo: Uint8Array): number | undefined {
  const info = Buffer.from(siginfo);
  return info.readInt32LE(SI_CODE_AT) === SI_TIMER ? info.readInt32LE(SI_TIMER_ID_AT) : undefined;
}

const intervalOf = ({ isec, insec }: PosixTimerEntry): bigint => isec * NANOS_PER_SECOND + insec;
const leftOf = ({ vsec, vnsec }: PosixTimerEntry): bigint => vsec * NANOS_PER_SECOND + vnsec;
const ticks = (timer: PosixTimerEntry): boolean => intervalOf(timer) > 0n && leftOf(timer) > 0n;

/** Is the signal one that the restored timer itself sends? Then it is not queued by hand. */
export function isSentAgain(
  siginfo: Uint8Array,
  timers: readonly PosixTimerEntry[] | undefined,
): boolean {
  const id = timerOf(siginfo);
  const timer = id === undefined ? undefined : timers?.find(({ itId }) => itId === id);
  return timer !== undefined && ticks(timer);
}

/** In the freeze: timers that tick on while their signal waits. How often they did nobody knows but the kernel. */
export function unknownOverruns(process: TracedProcess, ids: readonly number[]): Finding[] {
  const waiting = waitingFor(process);
  const asked = ids.filter((id) => waiting.has(id));
  if (asked.length === 0) return [];
  const batch = new RemoteBatch(process.leader);
  const specs = asked.map((id) => {
    const spec = batch.space(ITIMERSPEC_BYTES);
    batch.must(SYS.timer_gettime, id, spec);
    return { id, spec };
  });
  batch.run();
  return specs
    .filter(({ spec }) => spec.word(0) + spec.word(1) > 0n)
    .map(({ id }) => ({
      code: 'TimerOverrun',
      severity: 'loss',
      pid: process.nsPid,
      object: `timer ${id}: expirations while its signal waits`,
      advice: 'the signal will count those after the restore: unblock it more often',
    }));
}

/** Timers whose signal somebody keeps waiting: one that nobody blocks has just come. */
function waitingFor(process: TracedProcess): ReadonlySet<number | undefined> {
  const threads = [...process.threads.values()];
  const isBlocked = (info: Buffer, { signalMask }: TracedThread): boolean =>
    (signalMask & signalBit(info.readInt32LE(0))) !== 0n;
  const shared = pendingSignals(process.leader.tid, true).filter((info) =>
    threads.every((thread) => isBlocked(info, thread)),
  );
  const own = threads.flatMap((thread) =>
    pendingSignals(thread.tid, false).filter((info) => isBlocked(info, thread)),
  );
  return new Set([...shared, ...own].map(timerOf));
}

/**
 * Arms a timer so that it has missed what the saved one had missed.
 *
 * @param waits was its signal in the queue? Otherwise it is taken out of it
 * @returns false when it has nothing to make up for, or there was no time so far back
 */
export function armFromPast(
  timer: PosixTimerEntry,
  waits: boolean,
  builder: ProcessBuilder,
): boolean {
  if (!ticks(timer) || (!waits && timer.overrun === 0)) return false;
  const periods = waits ? 1n : BigInt(timer.overrun) + 1n;
  builder.flush();
  const { batch } = builder;
  const now = batch.space(TIMESPEC_BYTES);
  batch.must(SYS.clock_gettime, timer.clockId | 0, now);
  builder.flush();
  const nowNanos = now.word(0) * NANOS_PER_SECOND + now.word(1);
  const start = nowNanos + leftOf(timer) - periods * intervalOf(timer);
  if (start <= 0n) return false;
  const spec = timespecs(intervalOf(timer), start);
  batch.must(SYS.timer_settime, timer.itId, TIMER_ABSTIME, batch.bytes(spec), 0);
  builder.flush();
  if (!waits) takeSignal(timer, builder);
  return true;
}

/** Taken, the signal tells its overruns, and the timer remembers them. */
function takeSignal(timer: PosixTimerEntry, { process }: ProcessBuilder): void {
  const { itSigevNotify, notifyThreadId, siSigno } = timer;
  const toThread = (itSigevNotify & SIGEV_THREAD_ID) !== 0;
  const threads = [...process.threads.values()];
  const thread = toThread ? threads.find(({ nsTid }) => nsTid === notifyThreadId) : process.leader;
  if (!thread) return;
  const batch = new RemoteBatch(thread);
  const set = Buffer.alloc(MASK_BYTES);
  set.writeBigUInt64LE(signalBit(siSigno));
  const limit = timespecs(LONGEST_WAIT_NANOS).subarray(0, TIMESPEC_BYTES);
  batch.call(SYS.rt_sigtimedwait, batch.bytes(set), 0, batch.bytes(limit), MASK_BYTES);
  batch.run();
}

function timespecs(...nanos: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(ITIMERSPEC_BYTES);
  nanos.forEach((value, i) => {
    bytes.writeBigInt64LE(value / NANOS_PER_SECOND, i * TIMESPEC_BYTES);
    bytes.writeBigInt64LE(value % NANOS_PER_SECOND, i * TIMESPEC_BYTES + 8);
  });
  return bytes;
}
