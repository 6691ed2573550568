// A time namespace for a tree whose clocks would run backwards here: after a reboot, or on a machine that booted later.
// Source: time_namespaces(7).
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { check } from '../linux/error.ts';
import { syscall } from '../linux/ffi.ts';
import type { Lateness } from './saved-clocks.ts';

const CLONE_NEWTIME = 0x80;
const NANOS = 1_000_000_000n;
/** The clocks go on until the first process is born. */
const MARGIN_NANOS = 10_000_000n;

/**
 * Children of this process get clocks that are ahead by so much.
 *
 * @throws LinuxError without CAP_SYS_ADMIN and CAP_SYS_TIME, or before Linux 5.6
 */
export function advanceClocksOfChildren({ monotonic, boottime }: Lateness): void {
  const own = readFileSync('/proc/self/timens_offsets', 'latin1');
  check(syscall(SYS.unshare, CLONE_NEWTIME), 'unshare', { object: 'time namespace' });
  const line = (name: string, more: bigint): string => {
    const offset = offsetIn(own, name) + (more > 0n ? more + MARGIN_NANOS : 0n);
    return `${name} ${offset / NANOS} ${offset % NANOS}\n`;
  };
  writeFileSync(
    '/proc/self/timens_offsets',
    line('monotonic', monotonic) + line('boottime', boottime),
  );
}

function offsetIn(text: string, name: string): bigint {
  const [, seconds = '0', nanos = '0'] =
    new RegExp(`^${name}\\s+(-?\\d+)\\s+(\\d+)`, 'm').exec(text) ?? [];
  return BigInt(seconds) * NANOS + BigInt(nanos);
}

/** Has a child got the clocks? Before Linux 6.2 one that shares memory with this process until it executes its program has not. */
export function hasClocksOfChildren(pid: number): boolean {
  return readlinkSync(`/proc/${pid}/ns/time`) === readlinkSync('/proc/self/ns/time_for_children');
}
