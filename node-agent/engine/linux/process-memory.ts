// Bytes in another process's address space.
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from './error.ts';
import { allocate, type NativeMemory, syscall } from './ffi.ts';

/** An address in a tracee: unsigned 64-bit, never an address of this process. */
export type TraceeAddress = bigint;

const CHUNK_BYTES = 1 << 20;
const vectors = allocate(4096);
const transfer = allocate(CHUNK_BYTES);

function vector(
  nr: number,
  pid: number,
  local: NativeMemory,
  at: TraceeAddress,
  length: number,
): number {
  vectors.words[0] = local.address;
  vectors.words[1] = BigInt(length);
  vectors.words[2] = at;
  vectors.words[3] = BigInt(length);
  return syscall(nr, pid, vectors.address, 1, vectors.address + 16n, 1, 0);
}

/** Falls back to /proc/PID/mem, which ignores page protection (PROT_NONE, read-only text). */
function throughProcMem(pid: number, at: TraceeAddress, bytes: Buffer, write: boolean): void {
  const fd = openSync(`/proc/${pid}/mem`, write ? 'r+' : 'r');
  try {
    let done = 0;
    while (done < bytes.length) {
      const position = at + BigInt(done);
      const n = write
        ? writeSync(fd, bytes, done, bytes.length - done, Number(position))
        : readSync(fd, bytes, done, bytes.length - done, position);
      if (n === 0) throw new LinuxError('read', 14, { pid, object: `0x${position.toString(16)}` });
      done += n;
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads memory of a process that may be running or stopped; never of a snapshot child, whose shared pages
 * this would pin and so copy (engine.md C).
 *
 * @throws LinuxError with the address as object
 */
export function readMemory(pid: number, at: TraceeAddress, length: number): Buffer {
  const out = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const want = Math.min(CHUNK_BYTES, length - done);
    const got = vector(SYS.process_vm_readv, pid, transfer, at + BigInt(done), want);
    if (got <= 0) {
      throughProcMem(pid, at + BigInt(done), out.subarray(done, done + want), false);
      done += want;
      continue;
    }
    out.set(transfer.bytes.subarray(0, got), done);
    done += got;
  }
  return out;
}

/** Writes memory of a stopped process, also where the application itself may not write. */
export function writeMemory(pid: number, at: TraceeAddress, data: Uint8Array): void {
  for (let done = 0; done < data.length; ) {
    const part = data.subarray(done, done + CHUNK_BYTES);
    transfer.bytes.set(part);
    const put = vector(SYS.process_vm_writev, pid, transfer, at + BigInt(done), part.length);
    if (put <= 0) {
      throughProcMem(pid, at + BigInt(done), Buffer.from(part), true);
      done += part.length;
      continue;
    }
    done += put;
  }
}
