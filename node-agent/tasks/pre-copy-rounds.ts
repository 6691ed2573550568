// The agent's side of rounds of copying: each is sent to the other node whole, then the engine looks at what has changed since,
// and is told whether to copy that as well or to freeze the application.
import type { TaskRound } from '../../crds/node-task.ts';
import type { CopiedRound, EngineEvent, EngineOrder } from '../engine/protocol.ts';
import { type CutOverLimits, isAnotherRoundWorthIt } from './cut-over.ts';

export interface PreCopyRoundsOptions {
  readonly limits: CutOverLimits;
  /** sends all that the engine has written; a failure ends the engine */
  readonly send: () => Promise<void>;
  /** told after each round, of all so far */
  readonly onRounds: (rounds: readonly TaskRound[]) => void;
}

export class PreCopyRounds {
  readonly #options: PreCopyRoundsOptions;
  readonly #rounds: TaskRound[] = [];
  /** copied, and not looked at yet */
  #copied: CopiedRound | undefined;
  #sinceMillis = performance.now();
  #millis = 0;

  constructor(options: PreCopyRoundsOptions) {
    this.#options = options;
  }

  /** @param tell the engine, which waits for it after a round and an answer */
  take(event: EngineEvent, tell: (order: EngineOrder) => void): void {
    if (event.event === 'stage' && event.stage === 'pre-copying') {
      this.#sinceMillis = performance.now();
    } else if (event.event === 'round') {
      this.#copied = event.round;
      this.#sendAll(tell);
    } else if (event.event === 'dirty') {
      this.#decide(event.bytes, tell);
    }
  }

  #sendAll(tell: (order: EngineOrder) => void): void {
    this.#options.send().then(
      () => {
        this.#millis = performance.now() - this.#sinceMillis;
        tell({ do: 'look' });
      },
      // The engine is being ended for it.
      () => undefined,
    );
  }

  #decide(dirtyBytes: number, tell: (order: EngineOrder) => void): void {
    const { number = 0, bytes = 0 } = this.#copied ?? {};
    const { limits, onRounds } = this.#options;
    this.#rounds.push({ number, bytes, dirtyBytes, millis: Math.round(this.#millis) });
    onRounds([...this.#rounds]);
    this.#sinceMillis = performance.now();
    tell({ do: isAnotherRoundWorthIt(this.#rounds, limits) ? 'copy' : 'freeze' });
  }
}
