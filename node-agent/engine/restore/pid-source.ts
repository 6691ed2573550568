// Where exact pids come from: clone3's set_tid where the birth is privileged, ns_last_pid in a pod's confined processes.
import { openSync, closeSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { closeFd, enterNamespace, makePipe } from '../linux/descriptors.ts';
import { check } from '../linux/error.ts';
import { allocate, syscall } from '../linux/ffi.ts';
import { openInitProgram, spawnProgram } from '../linux/spawn.ts';
import { sendSignal, SIGNAL } from '../linux/signals.ts';
import { poll } from '../linux/wait.ts';
import { waitFor } from '../tracee/deadline.ts';
import type { RemoteBatch } from '../tracee/remote-batch.ts';
import type { RemoteResult } from '../tracee/remote-word.ts';

const CLONE_NEWPID = 0x20000000;
const CLONE_ARGS_BYTES = 88;

/** How a remote clone gets the pid or tid that the image names. */
export interface PidSource {
  /**
   * Queues clones, which get these ids or, where others come between, some other.
   *
   * @param ids one of the lists that {@link together} makes
   * @param flags CLONE_* bits without the exit signal
   */
  clone(
    batch: RemoteBatch,
    ids: readonly number[],
    flags: number,
    exitSignal: number,
  ): RemoteResult[];
  /** Cuts a list of ids into those that one batch can give. */
  together(ids: readonly number[]): number[][];
  close(): void;
}

/** Of one batch of the leader's; if somebody comes between, so many births are for nothing. */
const MOST_TOGETHER = 128;

/** Cuts a list where one of the next does not follow the one before, and where it gets too long. Pure. */
export function cut(
  ids: readonly number[],
  follows: (id: number, before: number) => boolean,
): number[][] {
  const parts: number[][] = [];
  for (const id of ids) {
    const part = parts.at(-1);
    const before = part?.at(-1);
    if (!part || before === undefined || part.length === MOST_TOGETHER || !follows(id, before)) {
      parts.push([id]);
    } else part.push(id);
  }
  return parts;
}

/** Privileged: the kernel gives the id that is asked for or EEXIST. Linux 5.5. */
export class SetTid implements PidSource {
  clone(
    batch: RemoteBatch,
    ids: readonly number[],
    flags: number,
    exitSignal: number,
  ): RemoteResult[] {
    return ids.map((id) => this.#clone(batch, id, flags, exitSignal));
  }

  together(ids: readonly number[]): number[][] {
    return cut(ids, () => true);
  }

  #clone(batch: RemoteBatch, id: number, flags: number, exitSignal: number): RemoteResult {
    const wanted = Buffer.alloc(4);
    wanted.writeInt32LE(id, 0);
    const setTid = batch.bytes(wanted);
    const args = Buffer.alloc(CLONE_ARGS_BYTES);
    args.writeBigUInt64LE(BigInt(flags), 0);
    args.writeBigUInt64LE(BigInt(exitSignal), 32);
    args.writeBigUInt64LE(setTid.address, 64);
    args.writeBigUInt64LE(1n, 72);
    return batch.must(SYS.clone3, batch.bytes(args), CLONE_ARGS_BYTES);
  }

  close(): void {}
}

/**
 * A helper of ours inside the pod's pid namespace writes ns_last_pid, which always acts on the writer's own namespace; the
 * next clone there gets the following number. Others in the namespace (exec probes, `kubectl exec`) may come between: the
 * caller compares the pid and tries again.
 */
export class LastPid implements PidSource {
  readonly #pid: number;
  readonly #requests: number;
  readonly #answers: number;
  readonly #word = allocate(4096);

  private constructor(pid: number, requests: number, answers: number) {
    this.#pid = pid;
    this.#requests = requests;
    this.#answers = answers;
  }

  /**
   * @param target process in the namespace, as the engine numbers it
   * @param taken ids that the image wants: the helper's own must be none of them
   */
  static start(target: number, taken: ReadonlySet<number>): LastPid {
    let own = 32_000;
    while (taken.has(own)) own--;
    const [requestsIn, requests] = makePipe();
    const [answers, answersOut] = makePipe();
    const theirs = openSync(`/proc/${target}/ns/pid`, 'r');
    const ours = openSync('/proc/self/ns/pid', 'r');
    using program = openInitProgram();
    enterNamespace(theirs, CLONE_NEWPID);
    try {
      const argv = ['diapause-init', 'last-pid'];
      const stdio = [requestsIn, answersOut, -1] as const;
      const pid = spawnProgram({ executable: program.fd, argv, pid: own, stdio });
      return new LastPid(pid, requests, answers);
    } finally {
      enterNamespace(ours, CLONE_NEWPID);
      for (const fd of [theirs, ours]) closeSync(fd);
      for (const fd of [requestsIn, answersOut]) closeFd(fd);
    }
  }

  clone(
    batch: RemoteBatch,
    ids: readonly number[],
    flags: number,
    exitSignal: number,
  ): RemoteResult[] {
    const [first] = ids;
    if (first !== undefined) this.#set(first - 1);
    return ids.map(() => batch.must(SYS.clone, flags | exitSignal, 0, 0, 0, 0));
  }

  /** The kernel counts on by itself. */
  together(ids: readonly number[]): number[][] {
    return cut(ids, (id, before) => id === before + 1);
  }

  #set(last: number): void {
    this.#word.view.setBigInt64(0, BigInt(last), true);
    check(syscall(SYS.write, this.#requests, this.#word.address, 8), 'write', {
      object: 'ns_last_pid helper',
    });
    check(syscall(SYS.read, this.#answers, this.#word.address, 8), 'read', {
      object: 'ns_last_pid helper',
    });
    check(Number(this.#word.view.getBigInt64(0, true)), 'write', {
      object: '/proc/sys/kernel/ns_last_pid',
    });
  }

  close(): void {
    closeFd(this.#requests);
    closeFd(this.#answers);
    // It ends at the end of its input; SIGKILL makes sure that it does so now.
    try {
      sendSignal(this.#pid, SIGNAL.SIGKILL);
      waitFor('the end of the ns_last_pid helper', 2000, () => poll(this.#pid));
    } catch {
      // already gone
    }
  }
}
