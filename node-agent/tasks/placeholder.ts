// What a placeholder is known by: the name that shim/init.c gives itself once it waits, and a half-built process, too.
import { setTimeout as sleep } from 'node:timers/promises';
import type { FoundContainer } from '../container/find-container.ts';
import { TaskFailure } from '../task-failure.ts';

const PLACEHOLDER_NAME = 'diapause-init';
/** A container counts as running before its program does: the runtime's own start goes before it. */
const START_MILLIS = 5000;
const POLL_MILLIS = 20;

export function isPlaceholder({ process }: Pick<FoundContainer, 'process'>): boolean {
  return process.read('comm').trim() === PLACEHOLDER_NAME;
}

/**
 * Waits for a container that has just started.
 *
 * @throws TaskFailure ContainerMismatch when something else runs there: it would be overwritten; the reason of `signal`
 */
export async function untilPlaceholder(
  container: Pick<FoundContainer, 'name' | 'process'>,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + START_MILLIS;
  while (!isPlaceholder(container)) {
    if (performance.now() > deadline) {
      const { process, name } = container;
      const facts = `container ${name} runs ${process.read('comm').trim()}, not the placeholder that waits for processes`;
      throw new TaskFailure('ContainerMismatch', facts);
    }
    signal.throwIfAborted();
    await sleep(POLL_MILLIS);
  }
}
