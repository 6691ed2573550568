// A process held so that its number can never come to mean another one: an open /proc/PID directory belongs to
// the process itself and answers ESRCH once that is gone, as a pidfd would (proc_pid(5)). Node has no pidfd.
import { closeSync, constants, openSync, readFileSync, readlinkSync } from 'node:fs';
import { errnoOf, TaskFailure } from '../task-failure.ts';

const GONE: ReadonlySet<string> = new Set(['ESRCH', 'ENOENT']);
/** field of proc_pid_stat(5), counted from the state (field 3) */
const START_TIME_INDEX = 22 - 3;

export class ProcessHandle implements Disposable {
  readonly pid: number;
  /** clock ticks since boot, decimal */
  readonly startTime: string;
  readonly #fd: number;
  #closed = false;

  private constructor(pid: number, fd: number) {
    this.pid = pid;
    this.#fd = fd;
    this.startTime = this.#stat()[START_TIME_INDEX] ?? '';
  }

  /**
   * Holds the process that has this number now.
   *
   * @param pid as this process's pid namespace numbers it; 0 and 1 are never a container
   * @param startTime if known: only this very process
   * @returns undefined when there is no such process
   */
  static open(pid: number, startTime?: string): ProcessHandle | undefined {
    if (!Number.isSafeInteger(pid) || pid <= 1) {
      throw new TaskFailure('ContainerMismatch', `${pid} cannot be the process of a container`);
    }
    let fd: number;
    try {
      fd = openSync(`/proc/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch (error) {
      return orGone(error);
    }
    try {
      const handle = new ProcessHandle(pid, fd);
      if (startTime === undefined || handle.startTime === startTime) {
        return handle;
      }
      handle[Symbol.dispose]();
      return undefined;
    } catch (error) {
      closeSync(fd);
      return orGone(error);
    }
  }

  /** Path of a file of this process: `ns/pid`, `root`, `exe`. */
  path(name: string): string {
    return `${this.#base('self')}/${name}`;
  }

  /** {@link path} for another process of ours. */
  externalPath(name: string): string {
    return `${this.#base(String(process.pid))}/${name}`;
  }

  /** @throws ESRCH when the process is gone */
  read(name: string): string {
    return readFileSync(this.path(name), 'latin1');
  }

  readLink(name: string): string {
    return readlinkSync(this.path(name));
  }

  /** One letter of proc_pid_stat(5): `t` is stopped by a tracer; `X` when the process is gone. */
  state(): string {
    try {
      return this.#stat()[0] ?? 'X';
    } catch (error) {
      orGone(error);
      return 'X';
    }
  }

  /** A zombie counts as dead: it has no memory, no files and no mounts. */
  get alive(): boolean {
    return !this.#closed && !'ZX'.includes(this.state());
  }

  /** To be called right before the number is used for anything. @throws TaskFailure ContainerNotRunning */
  assertAlive(what: string): void {
    if (!this.alive) {
      throw new TaskFailure('ContainerNotRunning', `${what}: its process ${this.pid} has ended`);
    }
  }

  [Symbol.dispose](): void {
    if (!this.#closed) {
      this.#closed = true;
      closeSync(this.#fd);
    }
  }

  #base(reader: string): string {
    if (this.#closed) {
      throw new Error(`the handle of process ${this.pid} is closed`);
    }
    return `/proc/${reader}/fd/${this.#fd}`;
  }

  #stat(): string[] {
    const text = this.read('stat');
    // The name may hold anything, parentheses and spaces included.
    return text
      .slice(text.lastIndexOf(')') + 2)
      .trim()
      .split(' ');
  }
}

function orGone(error: unknown): undefined {
  if (!GONE.has(errnoOf(error) ?? '')) {
    throw error;
  }
  return undefined;
}
