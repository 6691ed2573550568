// Clocks as a process in another time namespace reads them; time_namespaces(7).
import { clockNanos } from './event-descriptors.ts';
import { tryReadProc } from './procfs/read.ts';

const NANOS = 1_000_000_000n;
/** Which line of /proc/PID/timens_offsets moves a clock: monotonic ones, boot time ones; others are the same everywhere. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'monotonic'],
  [4, 'monotonic'],
  [6, 'monotonic'],
  [7, 'boottime'],
  [9, 'boottime'],
]);

/** Clocks that timers do not know by themselves stand on the plain one: CLOCK_*_ALARM. */
const READABLE: ReadonlyMap<number, number> = new Map([
  [8, 0],
  [9, 7],
]);

function offsetNanos(pid: number | 'self', clock: number): bigint {
  const name = NAMES.get(clock);
  const text = name === undefined ? undefined : tryReadProc(`/proc/${pid}/timens_offsets`);
  const line = text?.split('\n').find((l) => l.startsWith(`${name} `) || l.startsWith(`${name}\t`));
  const [, seconds, nanos] = line?.trim().split(/\s+/) ?? [];
  return seconds === undefined ? 0n : BigInt(seconds) * NANOS + BigInt(nanos ?? 0);
}

/** Now, nanoseconds of `clock` as process `pid` reads it. */
export function clockOf(pid: number, clock: number): bigint {
  const now = clockNanos(READABLE.get(clock) ?? clock);
  return now - offsetNanos('self', clock) + offsetNanos(pid, clock);
}
