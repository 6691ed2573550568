// The first thing an agent does: whatever an earlier one stopped on this node runs again before anything else
// happens, without asking the API server (design K10).
import { killLeftEngine } from './engine-process.ts';
import { thawAll } from './dump-undo.ts';
import type { JournalRecord, JournalStep } from './journal.ts';

/** Steps in which an engine may be at work. */
const AT_WORK: readonly JournalStep[] = ['engine', 'rewinding'];

export interface Released {
  readonly record: JournalRecord;
  /** an engine of that agent was still alive */
  readonly engineKilled: boolean;
  /** freezer files that could not be written */
  readonly notThawed: readonly string[];
}

/**
 * Ends engines that outlived their agent and thaws what they may have frozen. Sources that are to stay frozen, since
 * their dump was complete, do.
 */
export function releaseLeftovers(records: readonly JournalRecord[], bootId: string): Released[] {
  return records
    .filter(({ step, bootId: boot }) => AT_WORK.includes(step) && boot === bootId)
    .map((record) => {
      const { engine, freezerFiles = [] } = record.facts;
      const engineKilled = engine !== undefined && killLeftEngine(engine);
      return { record, engineKilled, notThawed: thawAll(freezerFiles) };
    });
}
