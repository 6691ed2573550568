// What the engine tells while it works.
import type { Finding } from './finding.ts';
import type {
  CopiedRound,
  DumpStage,
  EngineEvent,
  EngineFailure,
  RestoreStage,
  RewindStage,
} from './protocol.ts';

const PROGRESS_INTERVAL_MILLIS = 100;

/** Receives stages, progress and findings of one task. */
export class Reporter {
  readonly #emit: (event: EngineEvent) => void;
  readonly #start = performance.now();
  readonly findings: Finding[] = [];
  #lastProgress = 0;
  #failed = false;

  constructor(emit: (event: EngineEvent) => void) {
    this.#emit = emit;
  }

  stage(stage: DumpStage | RestoreStage | RewindStage): void {
    this.#emit({ event: 'stage', stage, atMillis: performance.now() - this.#start });
  }

  /** Rarely enough to cost nothing; the last one always. */
  progress(bytesDone: number, bytesTotal: number): void {
    const now = performance.now();
    if (bytesDone < bytesTotal && now - this.#lastProgress < PROGRESS_INTERVAL_MILLIS) return;
    this.#lastProgress = now;
    this.#emit({ event: 'progress', bytesDone, bytesTotal });
  }

  /** Whoever listens has the next word. */
  round(round: CopiedRound): void {
    this.#emit({ event: 'round', round });
  }

  dirty(bytes: number): void {
    this.#emit({ event: 'dirty', bytes });
  }

  finding(finding: Finding): void {
    this.findings.push(finding);
    this.#emit({ event: 'finding', finding });
  }

  /** The last word, said before the half-built processes end: whoever sees them die must know why. Only the first counts. */
  failed(failure: EngineFailure): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#emit({ event: 'failed', failure });
  }
}
