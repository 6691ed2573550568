// What the kernel knows of an address space besides its mappings: bounds of code, data, heap, stack and arguments, auxv, exe.
import { SYS } from '../arch/x86-64.ts';
import type { MmEntry } from '../image/messages/memory.ts';
import { LinuxError } from '../linux/error.ts';
import { allocate, release, syscall } from '../linux/ffi.ts';
import type { ProcessBuilder } from '../restore/builder.ts';

const PR_SET_DUMPABLE = 4;
const PR_SET_MM = 35;
const PR_SET_MM_MAP = 14;
const PR_SET_MM_MAP_SIZE = 15;
const PR_SET_THP_DISABLE = 41;
/** struct prctl_mm_map, include/uapi/linux/prctl.h */
const MM_MAP_BYTES = 104;
const AUXV_AT = 88;
const AUXV_SIZE_AT = 96;
const EXE_FD_AT = 100;
const NO_EXE_FD = 0xffffffff;

const AT_FDCWD = -100;
const O_CLOEXEC = 0x80000;

/** Is PR_SET_MM_MAP there (CONFIG_CHECKPOINT_RESTORE)? */
export function kernelSetsMmFields(): boolean {
  const size = allocate(4096);
  const result = syscall(SYS.prctl, PR_SET_MM, PR_SET_MM_MAP_SIZE, size.address, 0, 0);
  const known = result === 0 && size.view.getUint32(0, true) === MM_MAP_BYTES;
  release(size);
  return known;
}

/**
 * Sets all fields at once, and runs what is queued; without `exePath` no privilege is needed.
 *
 * @param exePath program that could not be executed: made the /proc/PID/exe of the process, where it may do that
 */
export function setMmFields(builder: ProcessBuilder, mm: MmEntry, exePath?: string): void {
  if (exePath === undefined || !setWithExe(builder, mm, exePath)) {
    queueFields(builder, mm, NO_EXE_FD);
  }
  builder.makeRoom(2, 0);
  // Set either way: a process may be born with its parent's
  builder.batch.must(SYS.prctl, PR_SET_THP_DISABLE, mm.thpDisabled === true ? 1 : 0, 0, 0, 0);
  queueDumpable(builder, mm);
  builder.flush();
}

/** A change of credentials makes the kernel forget it, so that it must be repeated behind one. 2 cannot be set. */
export function queueDumpable({ batch }: Pick<ProcessBuilder, 'batch'>, mm: MmEntry): void {
  if (mm.dumpable === 0 || mm.dumpable === 1) {
    batch.must(SYS.prctl, PR_SET_DUMPABLE, mm.dumpable, 0, 0, 0);
  }
}

function setWithExe(builder: ProcessBuilder, mm: MmEntry, path: string): boolean {
  builder.makeRoom(1, path.length + 1);
  const { batch } = builder;
  const fd = batch.call(SYS.openat, AT_FDCWD, batch.text(path), O_CLOEXEC, 0);
  builder.flush();
  try {
    if (fd.value < 0n) throw new LinuxError('remote openat', Number(-fd.value), { object: path });
    queueFields(builder, mm, fd.number);
    builder.flush();
    return true;
  } catch (error) {
    if (!(error instanceof LinuxError)) throw error;
    builder.report({
      code: 'ExecutableLink',
      severity: 'loss',
      pid: builder.saved.pid,
      object: `/proc/${builder.saved.pid}/exe -> ${path}: ${error.errno}`,
      advice: 'the program runs, but its link names another file; make the file executable',
    });
    return false;
  } finally {
    if (fd.value >= 0n) {
      builder.batch.must(SYS.close, fd.number);
      builder.flush();
    }
  }
}

function queueFields(builder: ProcessBuilder, mm: MmEntry, exeFd: number): void {
  const auxv = Buffer.alloc(mm.mmSavedAuxv.length * 8);
  mm.mmSavedAuxv.forEach((word, i) => {
    auxv.writeBigUInt64LE(word, i * 8);
  });
  builder.makeRoom(1, auxv.length + MM_MAP_BYTES + 32);
  const { batch } = builder;
  const map = Buffer.alloc(MM_MAP_BYTES);
  addressesOf(mm).forEach((address, i) => {
    map.writeBigUInt64LE(address, i * 8);
  });
  if (auxv.length > 0) {
    map.writeBigUInt64LE(batch.bytes(auxv).address, AUXV_AT);
    map.writeUInt32LE(auxv.length, AUXV_SIZE_AT);
  }
  map.writeUInt32LE(exeFd, EXE_FD_AT);
  batch.must(SYS.prctl, PR_SET_MM, PR_SET_MM_MAP, batch.bytes(map), MM_MAP_BYTES, 0);
}

/** In the order of struct prctl_mm_map. */
function addressesOf(mm: MmEntry): bigint[] {
  return [
    mm.mmStartCode,
    mm.mmEndCode,
    mm.mmStartData,
    mm.mmEndData,
    mm.mmStartBrk,
    mm.mmBrk,
    mm.mmStartStack,
    mm.mmArgStart,
    mm.mmArgEnd,
    mm.mmEnvStart,
    mm.mmEnvEnd,
  ];
}
