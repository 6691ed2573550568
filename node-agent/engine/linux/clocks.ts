// Clocks as a process in another time namespace reads them; time_namespaces(7).
import { clockNanos } from './event-descriptors.ts';
import { tryReadProc } from './procfs/read.ts';

/** Clock ids of clock_gettime(2). */
export const CLOCK = { MONOTONIC: 1, BOOTTIME: 7 } as const;

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

const offsetsOf = (pid: number | 'self'): string | undefined =>
  tryReadProc(`/proc/${pid}/timens_offsets`);

/** Read at the start: the file tells of children, who may get another time namespace than we have. */
const ownOffsets = offsetsOf('self');

function offsetNanos(pid: number | 'self', clock: number): bigint {
  const name = NAMES.get(clock);
  if (name === undefined) return 0n;
  const text = pid === 'self' ? ownOffsets : offsetsOf(pid);
  const line = text?.split('\n').find((l) => l.startsWith(`${name} `) || l.startsWith(`${name}\t`));
  const [, seconds, nanos] = line?.trim().split(/\s+/) ?? [];
  return seconds === undefined ? 0n : BigInt(seconds) * NANOS + BigInt(nanos ?? 0);
}

/** Now, nanoseconds of `clock` as process `pid` reads it. */
export function clockOf(pid: number | 'self', clock: number): bigint {
  const now = clockNanos(READABLE.get(clock) ?? clock);
  return now - offsetNanos('self', clock) + offsetNanos(pid, clock);
}
