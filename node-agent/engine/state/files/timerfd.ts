// timerfd_create(2): relative timers keep their remaining time, absolute ones their deadline.
import { SYS } from '../../arch/x86-64.ts';
import { FdType } from '../../image/messages/enums.ts';
import type { TimerfdEntry } from '../../image/messages/events.ts';
import { clockOf } from '../../linux/clocks.ts';
import { countTimerTicks, makeTimerFd, setTimerTicks } from '../../linux/event-descriptors.ts';
import { O } from '../../linux/file-facts.ts';
import { readProc } from '../../linux/procfs/read.ts';
import { type FdInfo, fdInfoValue, parseFdInfo } from './fdinfo.ts';
import type { FileKind } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import type { OpenFile } from './open-file.ts';
import { ownerOf } from './owner.ts';

const TFD_TIMER_ABSTIME = 1;
const NANOS = 1_000_000_000n;
const ITIMERSPEC_BYTES = 32;

interface TimerFacts {
  readonly clock: number;
  readonly ticks: bigint;
  readonly settimeFlags: number;
  readonly remainingNanos: bigint;
  readonly intervalNanos: bigint;
}

/** `(seconds, nanoseconds)` */
function duration(text: string | undefined): bigint {
  const match = /^\((\d+), (\d+)\)$/.exec(text ?? '');
  return match ? BigInt(match[1] as string) * NANOS + BigInt(match[2] as string) : 0n;
}

function parseTimer(info: FdInfo): TimerFacts | undefined {
  const clock = fdInfoValue(info, 'clockid');
  if (clock === undefined) return undefined;
  return {
    clock: Number(clock),
    ticks: BigInt(fdInfoValue(info, 'ticks') ?? 0),
    settimeFlags: Number.parseInt(fdInfoValue(info, 'settime flags') ?? '0', 8),
    remainingNanos: duration(fdInfoValue(info, 'it_value')),
    intervalNanos: duration(fdInfoValue(info, 'it_interval')),
  };
}

/**
 * An interval timer that fired stands still until it is read: the expirations since then are not counted yet. Asking for
 * its time counts them, which the application does not notice.
 */
function currentFacts(file: OpenFile): TimerFacts | undefined {
  const facts = parseTimer(file.info);
  if (!facts || facts.ticks === 0n || facts.intervalNanos === 0n) return facts;
  countTimerTicks(file.duplicate);
  return parseTimer(parseFdInfo(readProc(`/proc/${file.source.pid}/fdinfo/${file.source.fd}`)));
}

export const timerfd: FileKind = {
  name: 'timerfd',

  recognises: (file) => file.link === 'anon_inode:[timerfd]',

  collect(file) {
    const facts = currentFacts(file);
    if (!facts) return file.refuse('TimerfdUnreadable', 'the kernel does not tell its time');
    const { clock, ticks, settimeFlags, remainingNanos, intervalNanos } = facts;
    const absolute = (settimeFlags & TFD_TIMER_ABSTIME) !== 0 && remainingNanos > 0n;
    return {
      type: FdType.TIMERFD,
      id: file.id,
      tfd: {
        id: file.id,
        flags: file.info.flags,
        fown: ownerOf(file),
        clockid: clock,
        ticks,
        settimeFlags,
        vsec: remainingNanos / NANOS,
        vnsec: remainingNanos % NANOS,
        isec: intervalNanos / NANOS,
        insec: intervalNanos % NANOS,
        ...(absolute && {
          deadlineNs: clockOf(file.subject.process.pid, clock) + remainingNanos,
        }),
      },
    };
  },

  restores: (entry) => entry.tfd !== undefined,

  open(entry) {
    const { clockid, flags } = entry.tfd!;
    return () => makeTimerFd(clockid, flags & O.NONBLOCK);
  },

  finish(entry, opening) {
    arm(entry.tfd!, opening);
  },
};

/** When it expires next, as timerfd_settime(2) takes it with the saved flags; 0 = never. */
function nextExpiry(saved: TimerfdEntry, pid: number): bigint {
  const interval = saved.isec * NANOS + saved.insec;
  const remaining = saved.vsec * NANOS + saved.vnsec;
  if (remaining === 0n) return interval === 0n ? 0n : 1n;
  if ((saved.settimeFlags & TFD_TIMER_ABSTIME) === 0) return remaining;
  // CRIU keeps no deadline: its absolute timers go on with what remained.
  return saved.deadlineNs ?? clockOf(pid, saved.clockid) + remaining;
}

/** In a process that has it: an absolute time means that process's clock. */
function arm(saved: TimerfdEntry, opening: FileOpening): void {
  const [holder] = opening.wantedOf(saved.id);
  if (!holder) return;
  const { builder, fd } = holder;
  const value = nextExpiry(saved, builder.process.pid);
  const spec = Buffer.alloc(ITIMERSPEC_BYTES);
  spec.writeBigUInt64LE(saved.isec, 0);
  spec.writeBigUInt64LE(saved.insec, 8);
  spec.writeBigUInt64LE(value / NANOS, 16);
  spec.writeBigUInt64LE(value % NANOS, 24);
  builder.makeRoom(1, ITIMERSPEC_BYTES);
  const { batch } = builder;
  batch.must(SYS.timerfd_settime, fd, saved.settimeFlags, batch.bytes(spec), 0);
  if (saved.ticks === 0n) return;
  builder.flush();
  setTimerTicks(opening.engineFd(saved.id), saved.ticks);
}
