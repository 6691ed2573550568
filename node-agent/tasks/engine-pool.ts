// Engines ready to take a task: one spare is kept warm, so that a freeze need not wait for a program to load.
import { type Command, EngineProcess } from './engine-process.ts';

const FAILURES_BEFORE_REST = 3;

export interface EngineSource {
  /** A ready engine, for one task. @throws EngineCrashedError */
  take(): Promise<EngineProcess>;
  /** A task has ended: the next one shall not wait for its engine. */
  warm(): void;
}

export class EnginePool implements EngineSource, Disposable {
  readonly #command: Command;
  readonly #onError: (error: unknown) => void;
  #spare: Promise<EngineProcess> | undefined;
  #failures = 0;
  #closed = false;

  /** @param onError told when a spare could not be started; `take` tries again by itself */
  constructor(command: Command, onError: (error: unknown) => void) {
    this.#command = command;
    this.#onError = onError;
  }

  /** Begins to start a spare unless there is one. */
  warm(): void {
    if (this.#closed || this.#spare !== undefined || this.#failures >= FAILURES_BEFORE_REST) {
      return;
    }
    const spare = EngineProcess.start(this.#command);
    this.#spare = spare;
    spare.then(
      (engine) => {
        this.#failures = 0;
        if (this.#closed) {
          engine.kill();
        }
      },
      (error: unknown) => {
        this.#failures++;
        this.#onError(error);
        this.#spare = undefined;
      },
    );
  }

  async take(): Promise<EngineProcess> {
    const spare = this.#spare;
    this.#spare = undefined;
    const engine = await spare?.catch(() => undefined);
    // The failure of a spare may have passed; that of an engine that is needed now is told to who needs it.
    this.#failures = 0;
    return engine?.alive === true ? engine : await EngineProcess.start(this.#command);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    void this.#spare?.then(
      (engine) => engine.kill(),
      () => undefined,
    );
  }
}
