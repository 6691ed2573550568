// After an engine that had to be killed, another one takes away what it left in the application: a dead snapshot, its
// interpreter. The source looks again as if nothing had been, also when no other dump follows.
import { Deadline } from '../../kube/deadline.ts';
import type { HeldContainers } from './containers.ts';
import { thawAll } from './dump-undo.ts';
import { FreezeWatch } from './freeze-watch.ts';
import type { SpecOf, TaskContext } from './task-context.ts';

/** Time for it, and for a spare engine to be started. */
const CLEAN_UP_MILLIS = 20_000;

/**
 * Bounded, and never throws: what cannot be taken away does no harm, and the next dump tries again.
 *
 * @param containers of a dump that failed without a word of its engine, which is dead
 */
export async function cleanUpSource(
  { journal, spec, tools }: TaskContext<SpecOf<'Dump'>>,
  containers: HeldContainers,
): Promise<void> {
  using deadline = new Deadline(CLEAN_UP_MILLIS);
  const tooLong = new AbortController();
  const { freezeLimitMillis } = spec.dump;
  using _watch = new FreezeWatch({
    processes: containers.all.map(({ process }) => process),
    limitMillis: freezeLimitMillis > 0 ? freezeLimitMillis : CLEAN_UP_MILLIS,
    onExceeded: () => tooLong.abort(new Error('the application had stood still for too long')),
  });
  try {
    // Nobody can be stopped by a tracer in a frozen cgroup.
    thawAll(journal.facts.freezerFiles ?? []);
    using engine = await tools.engines.take();
    containers.assertAlive();
    const trees = containers.all.map(({ name, process }) => ({ name, rootPid: process.pid }));
    await engine.run(
      { type: 'clean-up', trees, freezeLimitMillis },
      { onEvent: () => undefined, signal: AbortSignal.any([deadline.signal, tooLong.signal]) },
    );
  } catch {
    // A container that has ended has nothing left; all else waits for the next dump.
  }
}
