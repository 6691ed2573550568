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

/** A piece of a tracee's memory and what is, or shall be, in it. */
export interface MemoryPart {
  readonly at: TraceeAddress;
  readonly bytes: Uint8Array;
}

const VECTOR_BYTES = 16;
const MAX_PARTS = 64;

/** One call for all parts; false when it could not be done whole. */
function transferParts(nr: number, pid: number, parts: readonly MemoryPart[]): boolean {
  const total = parts.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (total > CHUNK_BYTES || parts.length > MAX_PARTS) return false;
  const { words, address } = vectors;
  words[0] = transfer.address;
  words[1] = BigInt(total);
  parts.forEach(({ at, bytes }, i) => {
    words[2 + i * 2] = at;
    words[3 + i * 2] = BigInt(bytes.length);
  });
  const remote = address + BigInt(VECTOR_BYTES);
  return syscall(nr, pid, address, 1, remote, parts.length, 0) === total;
}

/** Writes several pieces of a stopped process. */
export function writeParts(pid: number, parts: readonly MemoryPart[]): void {
  let at = 0;
  for (const { bytes } of parts) {
    if (at + bytes.length <= CHUNK_BYTES) transfer.bytes.set(bytes, at);
    at += bytes.length;
  }
  if (transferParts(SYS.process_vm_writev, pid, parts)) return;
  for (const part of parts) writeMemory(pid, part.at, part.bytes);
}

/** Reads several pieces into their `bytes`; not of a snapshot child, as {@link readMemory}. */
export function readParts(pid: number, parts: readonly MemoryPart[]): void {
  if (!transferParts(SYS.process_vm_readv, pid, parts)) {
    for (const { at, bytes } of parts) bytes.set(readMemory(pid, at, bytes.length));
    return;
  }
  let from = 0;
  for (const { bytes } of parts) {
    bytes.set(transfer.bytes.subarray(from, from + bytes.length));
    from += bytes.length;
  }
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
