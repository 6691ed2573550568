// The specification of a running task as the API server has it now: all of it is fixed but what the controller adds.
import type { NodeTaskSpec } from '../../crds/node-task.ts';

export class LatestSpec {
  #spec: NodeTaskSpec;
  readonly #waiting = new Set<() => void>();

  constructor(spec: NodeTaskSpec) {
    this.#spec = spec;
  }

  set(spec: NodeTaskSpec): void {
    this.#spec = spec;
    this.#waiting.forEach((look) => look());
  }

  /** Waits until there is what `pick` looks for. @throws the reason of `signal` */
  async later<T>(pick: (spec: NodeTaskSpec) => T | undefined, signal: AbortSignal): Promise<T> {
    const found = Promise.withResolvers<T>();
    const look = (): void => {
      const value = pick(this.#spec);
      if (value !== undefined) {
        found.resolve(value);
      }
    };
    const abort = (): void => found.reject(signal.reason as Error);
    this.#waiting.add(look);
    signal.addEventListener('abort', abort);
    try {
      signal.throwIfAborted();
      look();
      return await found.promise;
    } finally {
      this.#waiting.delete(look);
      signal.removeEventListener('abort', abort);
    }
  }
}
