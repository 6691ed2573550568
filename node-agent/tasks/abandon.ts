// Undoing a task of an earlier agent that does not exist any more: nobody is told, and nobody can be asked.
import { TaskFailure } from '../task-failure.ts';
import { handlerOf } from './handlers.ts';
import type { JournalEntry, JournalRecord } from './journal.ts';
import type { Progress, Tools } from './task-context.ts';

const ABANDON_MILLIS = 30_000;

const SILENT: Progress = {
  stage: () => undefined,
  bytes: () => undefined,
  transfer: () => undefined,
  rounds: () => undefined,
};

const refuse = (): Promise<never> =>
  Promise.reject(new TaskFailure('Canceled', 'the task does not exist any more'));

export async function abandonTask(
  { task, step }: JournalRecord,
  journal: JournalEntry,
  tools: Tools,
): Promise<void> {
  if (step === 'ended') {
    return;
  }
  const { uid, spec } = task;
  const signal = AbortSignal.timeout(ABANDON_MILLIS);
  const asked = { commit: refuse, later: refuse };
  await handlerOf(spec)?.abandon({ uid, spec, signal, journal, progress: SILENT, tools, ...asked });
}
