// What the engine tells while it works.
import type { Finding } from './finding.ts';
import type { DumpStage, EngineEvent, RestoreStage } from './protocol.ts';

/** Receives stages, progress and findings of one task. */
export class Reporter {
  readonly #emit: (event: EngineEvent) => void;
  readonly #start = performance.now();
  readonly findings: Finding[] = [];

  constructor(emit: (event: EngineEvent) => void) {
    this.#emit = emit;
  }

  stage(stage: DumpStage | RestoreStage): void {
    this.#emit({ event: 'stage', stage, atMillis: performance.now() - this.#start });
  }

  progress(bytesDone: number, bytesTotal: number): void {
    this.#emit({ event: 'progress', bytesDone, bytesTotal });
  }

  finding(finding: Finding): void {
    this.findings.push(finding);
    this.#emit({ event: 'finding', finding });
  }
}
