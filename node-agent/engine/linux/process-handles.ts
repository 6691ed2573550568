// Handles of processes, each opened once.
import { type OwnedFd, pidfdOpen } from './descriptors.ts';

export class ProcessHandles {
  readonly #handles = new Map<number, OwnedFd>();

  /** @throws LinuxError ESRCH when it has ended and is reaped */
  of(pid: number): OwnedFd {
    let handle = this.#handles.get(pid);
    if (!handle) {
      handle = pidfdOpen(pid);
      this.#handles.set(pid, handle);
    }
    return handle;
  }

  [Symbol.dispose](): void {
    for (const handle of this.#handles.values()) handle[Symbol.dispose]();
    this.#handles.clear();
  }
}
