// A failed system call, as facts.
import { errnoName } from './ffi.ts';

export interface LinuxErrorFacts {
  /** pid of the process that it was done to or in */
  readonly pid?: number | undefined;
  /** what it was done to: path, descriptor, address */
  readonly object?: string | undefined;
}

/** `call` failed with `errno`; the sentence is derived from the facts. */
export class LinuxError extends Error {
  readonly call: string;
  /** symbolic, `EPERM` */
  readonly errno: string;
  readonly pid: number | undefined;
  readonly object: string | undefined;

  constructor(call: string, errno: number, facts: LinuxErrorFacts = {}) {
    const name = errnoName(errno);
    const where = facts.pid === undefined ? '' : ` for process ${facts.pid}`;
    super(`${call}${facts.object ? ` ${facts.object}` : ''}${where}: ${name}`);
    this.name = 'LinuxError';
    this.call = call;
    this.errno = name;
    this.pid = facts.pid;
    this.object = facts.object;
  }
}

/** Gives a result back, or throws when it is `-errno`. */
export function check(result: number, call: string, facts?: LinuxErrorFacts): number {
  if (result < 0) throw new LinuxError(call, -result, facts);
  return result;
}
