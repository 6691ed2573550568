// Decisions as tables: what differs from a sound case, and the step that must follow.
import assert from 'node:assert/strict';
import { it } from 'node:test';

export interface StepCase<Facts> {
  readonly what: string;
  readonly facts: Partial<Facts>;
  /** `step`, or `step Reason` */
  readonly step: string;
  /** what its words must say */
  readonly says?: RegExp;
}

interface Step {
  readonly do: string;
  readonly reason?: string;
  readonly facts?: string;
}

/** One test for each case. */
export function checkSteps<Facts>(
  decide: (changes: Partial<Facts>) => Step,
  cases: readonly StepCase<Facts>[],
): void {
  for (const { what, facts, step, says } of cases) {
    void it(`${what}: ${step}`, () => {
      const decided = decide(facts);
      const { reason } = decided;
      assert.equal(reason === undefined ? decided.do : `${decided.do} ${reason}`, step);
      if (says !== undefined) {
        assert.match(decided.facts ?? '', says);
      }
    });
  }
}
