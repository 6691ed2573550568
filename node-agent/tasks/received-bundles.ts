// Bundles that other agents brought stay on this node as long as their Receive tasks exist, and no longer.
import type { NodeTask } from '../../crds/node-task.ts';
import type { LocalSpace } from '../transfer/local-space.ts';
import type { AgentLog } from './task-agent.ts';

export class ReceivedBundles {
  readonly #space: LocalSpace;
  readonly #log: AgentLog;

  constructor(space: LocalSpace, log: AgentLog) {
    this.#space = space;
    this.#log = log;
  }

  /**
   * Removes what earlier agents left, of either side of a transfer.
   *
   * @param journalled uids of tasks that will be taken up, and remove their own
   */
  async sweep(tasks: readonly NodeTask[], journalled: readonly string[]): Promise<void> {
    const existing = tasks.map(({ metadata }) => metadata.uid ?? '');
    try {
      const removed = await this.#space.sweep(new Set([...existing, ...journalled]));
      if (removed.length > 0) {
        this.#log.info({ removed }, 'removed what earlier transfers left');
      }
    } catch (error) {
      this.#log.error({ err: error }, 'what earlier transfers left could not be removed');
    }
  }

  /** Its task is gone. One that was still at work removes the same. */
  forget(taskUid: string): void {
    this.#space
      .remove(taskUid)
      .catch((error: unknown) =>
        this.#log.error({ err: error, taskUid }, 'a received bundle could not be removed'),
      );
  }
}
