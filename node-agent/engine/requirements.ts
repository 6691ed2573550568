// What a target must have so that the saved tree can run there, as facts of the source.
import { createHash } from 'node:crypto';
import { arch, release } from 'node:os';
import { CLOCK, clockOf } from './linux/clocks.ts';
import { readMemory } from './linux/process-memory.ts';
import { cpuFlags } from './linux/procfs/cpuinfo.ts';
import { readMaps } from './linux/procfs/maps.ts';
import { getXstate } from './linux/ptrace.ts';
import type { Requirements } from './protocol.ts';
import type { TracedProcess } from './tracee/traced-process.ts';

/** Place of XCR0 in the legacy region of the XSAVE area (`sw_reserved`, Intel SDM vol. 1, 13.4.1). */
const XCR0_AT = 464;

/** Digest of the vDSO's code; equal digests allow to move the new process's own one to the saved place. */
export function vdsoOf(pid: number): { readonly bytes: number; readonly digest: string } {
  const vdso = readMaps(pid).find((m) => m.name === '[vdso]');
  if (!vdso) return { bytes: 0, digest: '' };
  const code = readMemory(pid, vdso.start, Number(vdso.end - vdso.start));
  return { bytes: code.length, digest: createHash('sha256').update(code).digest('hex') };
}

/** What does not change while the application runs: read before the freeze. Sums are added when the pages are known. */
export function describeNode(pid: number): Omit<Requirements, keyof Moment> {
  const vdso = vdsoOf(pid);
  return {
    arch: arch(),
    kernelRelease: release(),
    vdsoBytes: vdso.bytes,
    vdsoDigest: vdso.digest,
    cpuFlags: cpuFlags(),
    memoryBytes: 0,
    threads: 0,
  };
}

type Moment = Pick<Requirements, 'xstateFeatures' | 'monotonicNanos' | 'boottimeNanos'>;

/** @param process any stopped process of the application */
export function describeMoment(process: TracedProcess): Moment {
  return {
    xstateFeatures: `0x${getXstate(process.leader.tid).readBigUInt64LE(XCR0_AT).toString(16)}`,
    monotonicNanos: String(clockOf(process.pid, CLOCK.MONOTONIC)),
    boottimeNanos: String(clockOf(process.pid, CLOCK.BOOTTIME)),
  };
}
