// Starting a program with a chosen pid, outside of libuv: it would collect the stops of a child of its own.
import { init, pages, SPAWN, SPAWN_SIZE } from '../../../shim/shim.generated.ts';
import { SYS } from '../arch/x86-64.ts';
import { OwnedFd } from './descriptors.ts';
import { check } from './error.ts';
import { allocate, release, spawnNative, syscall } from './ffi.ts';

const CLONE_VM = 0x100n;
const CLONE_VFORK = 0x4000n;
const CLONE_PARENT = 0x8000n;
const CLONE_CLEAR_SIGHAND = 0x100000000n;
const SIGCHLD = 17n;
const MFD_CLOEXEC = 1;
const MFD_CLOEXEC_EXEC = 0x11;
const ARGUMENTS_AT = 1024;

/** Name of the placeholder's program, also in its own process table entry. */
export const INIT_NAME = 'diapause-init';

/** struct clone_args, 8-byte words: clone3(2) */
const CLONE_ARGS = { flags: 0, exitSignal: 4, setTid: 8, setTidSize: 9 } as const;

export interface SpawnRequest {
  readonly executable: number;
  readonly argv: readonly string[];
  /** pid in the namespace of the child; absent = the next one */
  readonly pid?: number;
  /** descriptors that become 0, 1, 2; -1 keeps the inherited one */
  readonly stdio?: readonly [number, number, number];
  readonly newSession?: boolean;
  /** a child of this process's parent */
  readonly asSibling?: boolean;
}

/**
 * clone3(2) with `set_tid`, then execveat(2) of a descriptor.
 *
 * @returns pid of the new process in this process's pid namespace
 * @throws LinuxError EEXIST when the pid is taken (a zombie counts)
 */
export function spawnProgram(request: SpawnRequest): number {
  const memory = allocate(8192);
  const { words, view, address, bytes } = memory;
  let at = ARGUMENTS_AT;
  const pointers = request.argv.map((argument) => {
    const pointer = address + BigInt(at);
    at += bytes.write(`${argument}\0`, at, 'latin1');
    return pointer;
  });
  at = (at + 15) & ~15;
  const argv = address + BigInt(at);
  for (const pointer of [...pointers, 0n]) {
    view.setBigUint64(at, pointer, true);
    at += 8;
  }
  const envp = argv + BigInt(pointers.length * 8);
  words.fill(0n, 0, SPAWN_SIZE / 8);
  const whose = request.asSibling ? CLONE_PARENT : 0n;
  words[CLONE_ARGS.flags] = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND | whose;
  // A sibling's is this process's own; clone3 refuses another one.
  words[CLONE_ARGS.exitSignal] = request.asSibling ? 0n : SIGCHLD;
  if (request.pid !== undefined) {
    view.setInt32(at, request.pid, true);
    words[CLONE_ARGS.setTid] = address + BigInt(at);
    words[CLONE_ARGS.setTidSize] = 1n;
  }
  view.setBigInt64(SPAWN.fd, BigInt(request.executable), true);
  view.setBigUint64(SPAWN.argv, argv, true);
  view.setBigUint64(SPAWN.envp, envp, true);
  const [input, output, error] = request.stdio ?? [-1, -1, -1];
  view.setBigInt64(SPAWN.in, BigInt(input), true);
  view.setBigInt64(SPAWN.out, BigInt(output), true);
  view.setBigInt64(SPAWN.err, BigInt(error), true);
  view.setBigInt64(SPAWN.sid, request.newSession ? 1n : 0n, true);
  const result = spawnNative(address);
  release(memory);
  return check(result, 'clone3', { object: `pid ${request.pid ?? 'any'}` });
}

/** The placeholder's program (shim/init.c) as an executable descriptor without a name in any file system. */
export const openInitProgram = (): OwnedFd => openProgram(INIT_NAME, init.bytesBase64);

/** Name of the page server's program (shim/pages), also in its process table entry. */
export const PAGES_NAME = 'diapause-pages';

/** The same for the page server. */
export const openPagesProgram = (): OwnedFd => openProgram(PAGES_NAME, pages.bytesBase64);

function openProgram(name: string, bytesBase64: string): OwnedFd {
  return memoryFile(name, Buffer.from(bytesBase64, 'base64'), MFD_CLOEXEC_EXEC);
}

/** A file without a name in any file system. */
export function memoryFile(name: string, content: Buffer, flags = MFD_CLOEXEC): OwnedFd {
  const text = allocate(4096);
  text.bytes.write(`${name}\0`, 'latin1');
  let fd = syscall(SYS.memfd_create, text.address, flags);
  // Before Linux 6.3 there is no MFD_EXEC: memfds are executable anyway.
  if (fd < 0) fd = syscall(SYS.memfd_create, text.address, MFD_CLOEXEC);
  release(text);
  const file = new OwnedFd(check(fd, 'memfd_create'));
  const bytes = allocate(content.length);
  bytes.bytes.set(content);
  for (let done = 0; done < content.length; ) {
    const at = bytes.address + BigInt(done);
    const written = syscall(SYS.write, file.fd, at, content.length - done);
    done += check(written, 'write', { object: 'memfd' });
  }
  release(bytes);
  return file;
}
