// What the kernel says of the CPU.
import { readFileSync } from 'node:fs';

/** Flags of the first CPU in /proc/cpuinfo, sorted. */
export function cpuFlags(): string[] {
  const line = /^flags\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1'));
  return (line?.[1] ?? '').split(' ').filter(Boolean).sort();
}
