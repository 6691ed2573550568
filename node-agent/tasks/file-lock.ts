// flock(2), which Node lacks: the program of util-linux locks a descriptor that it inherits, and ends. The lock belongs
// to the open file, so it lasts until we close that, or die.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { FileHandle } from 'node:fs/promises';
import { abortable, Deadline } from '../../kube/deadline.ts';

const LOCK_MILLIS = 10_000;
const CONFLICT_STATUS = 75;

/**
 * Locks an open file without waiting.
 *
 * @param flockProgram path of flock(1)
 * @returns false when somebody else's lock is in the way
 * @throws Error when the program fails or cannot be run
 */
export async function tryLock(
  file: FileHandle,
  mode: 'shared' | 'exclusive',
  flockProgram: string,
  signal?: AbortSignal,
): Promise<boolean> {
  const args = [`--${mode}`, '--nonblock', '--conflict-exit-code', String(CONFLICT_STATUS), '3'];
  const child = spawn(flockProgram, args, {
    stdio: ['ignore', 'ignore', 'ignore', file.fd],
    env: {},
  });
  using deadline = new Deadline(LOCK_MILLIS, signal);
  try {
    const [status] = (await abortable(once(child, 'exit'), deadline.signal)) as [number | null];
    if (status !== 0 && status !== CONFLICT_STATUS) {
      throw new Error(`${flockProgram} ended with status ${status}`);
    }
    return status === 0;
  } finally {
    child.kill('SIGKILL');
  }
}
