// The only door to native code: raw system calls and memory with a stable address.
import koffi from 'koffi';
import { interpreter } from '../../../shim/shim.generated.ts';
import { SYS } from '../arch/x86-64.ts';

/** An argument of a system call: integer or address. */
export type Word = number | bigint;

/**
 * Anonymous memory of this process that never moves, so that its address may be given to the kernel.
 * `bytes`, `view` and `words` look at the same memory.
 */
export interface NativeMemory {
  readonly address: bigint;
  readonly length: number;
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly words: BigUint64Array;
}

const PAGE = 4096;
const PROT_READ_WRITE = 3;
const PROT_READ_EXEC = 5;
const MAP_PRIVATE_ANONYMOUS = 0x22;

type RawCall = (...words: readonly Word[]) => Word;

// libc's syscall(3) is used twice, to map our own stub; from then on the stub is called, which returns
// -errno itself: no race with the interpreter's errno, and 0.3 us a call.
const libcSyscall = koffi.load('libc.so.6').func(
  'syscall',
  'int64_t',
  Array.from({ length: 7 }, () => 'int64_t'),
) as RawCall;

function mapCode(): bigint {
  const address = BigInt(
    libcSyscall(SYS.mmap, 0, PAGE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0),
  );
  new Uint8Array(koffi.view(address, PAGE)).set(Buffer.from(interpreter.bytesBase64, 'base64'));
  libcSyscall(SYS.mprotect, address, PAGE, PROT_READ_EXEC, 0, 0, 0);
  return address;
}

const code = mapCode();
const int64 = (n: number): string => Array.from({ length: n }, () => 'int64_t').join(', ');
const raw = koffi.decode(
  code + BigInt(interpreter.rawSyscall),
  koffi.proto(`int64_t diapause_raw_syscall(${int64(7)})`),
) as RawCall;
const spawn = koffi.decode(
  code + BigInt(interpreter.spawn),
  koffi.proto(`int64_t diapause_spawn(${int64(1)})`),
) as (request: Word) => Word;
const runBatch = koffi.decode(
  code + BigInt(interpreter.runBatch),
  koffi.proto(`void diapause_run_batch(${int64(1)})`),
) as (control: Word) => void;

/**
 * One system call of this process.
 *
 * @returns the kernel's answer as it is: `-errno` on failure. Results above 2^53 (none of the calls used here
 *   has any) would lose bits.
 */
export function syscall(
  nr: number,
  ...args: readonly [Word?, Word?, Word?, Word?, Word?, Word?]
): number {
  return Number(
    raw(nr, args[0] ?? 0, args[1] ?? 0, args[2] ?? 0, args[3] ?? 0, args[4] ?? 0, args[5] ?? 0),
  );
}

/** clone3 and execveat in one native call (shim/protocol.h, `spawn_request`); pid or `-errno`. */
export function spawnNative(requestAddress: bigint): number {
  return Number(spawn(requestAddress));
}

/** All calls of a batch of this process (shim/protocol.h, `control`), in one way into native code. */
export function runBatchNative(controlAddress: bigint): void {
  runBatch(controlAddress);
}

/**
 * Maps zeroed memory. It lives until {@link release} or the end of the process.
 *
 * @param length bytes, rounded up to whole pages
 * @throws Error when the kernel has no memory
 */
export function allocate(length: number): NativeMemory {
  const size = Math.ceil(length / PAGE) * PAGE;
  const address = syscall(SYS.mmap, 0, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if (address < 0) throw new Error(`no memory for ${size} bytes (errno ${-address})`);
  const buffer = koffi.view(BigInt(address), size) as ArrayBuffer;
  return {
    address: BigInt(address),
    length: size,
    bytes: Buffer.from(buffer),
    view: new DataView(buffer),
    words: new BigUint64Array(buffer),
  };
}

/** Unmaps what {@link allocate} gave. The views must not be touched afterwards. */
export function release(memory: NativeMemory): void {
  syscall(SYS.munmap, memory.address, memory.length);
}

/** Names of error numbers, `ENOENT` for 2. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `E${errno}`;
}

/** Second names of numbers that errno(3) lists under a first one. */
const ALIASES: ReadonlySet<string> = new Set(['EWOULDBLOCK', 'EDEADLOCK', 'ENOTSUP']);
const errnoNames = new Map<number, string>(
  Object.entries(koffi.os.errno)
    .filter(([name]) => !ALIASES.has(name))
    .map(([name, value]) => [value as number, name]),
);
