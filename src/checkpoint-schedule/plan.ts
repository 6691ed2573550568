// What becomes of the wishes for runs: window, concurrency policy and limit decide (pure).
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { SCHEDULE_DEFAULTS } from '../../crds/checkpoint-schedule.ts';
import { formatTime } from '../../kube/clock.ts';
import type { Pod } from '../cluster/pod.ts';
import type { Skipped } from './by-clock.ts';
import { isActive, type Run, runOf, type ScheduleFacts, someNames } from './facts.ts';
import { beingSaved, oldestFirst, recentlySaved } from './pods.ts';

export interface Plan {
  readonly runs: readonly Run[];
  /** of earlier runs, to make room */
  readonly cancel: readonly Checkpoint[];
  readonly skipped: readonly Skipped[];
  /** the token must wait until Checkpoints under way are finished */
  readonly tokenWaits: boolean;
}

type Verdict = { readonly run: Run } | { readonly skipped: Skipped } | 'later';

export function planRuns(facts: ScheduleFacts, wanted: readonly Run[]): Plan {
  const cancel = wanted.flatMap((run) => toCancel(facts, run));
  // What is being cancelled saves nothing, neither now nor when this look is repeated after a crash.
  const checkpoints = facts.checkpoints.filter(
    (one) => one.spec.cancel !== true && !cancel.includes(one),
  );
  const taken = new Set(recentlySaved({ ...facts, checkpoints }));
  const runs: Run[] = [];
  const skipped: Skipped[] = [];
  let tokenWaits = false;
  for (const run of wanted) {
    const verdict = judge({ ...facts, checkpoints }, run, taken);
    if (verdict === 'later') {
      tokenWaits = true;
    } else if ('skipped' in verdict) {
      skipped.push(verdict.skipped);
    } else {
      runs.push(verdict.run);
      verdict.run.pods.forEach(({ metadata }) => taken.add(metadata.name));
    }
  }
  return { runs, cancel: [...new Set(cancel)], skipped, tokenWaits };
}

/** Runs that somebody waits for at a certain moment are not held up by others. */
function obeysPolicy({ trigger }: Run): boolean {
  return trigger === 'Schedule' || trigger === 'RunNow';
}

function policyOf({ schedule }: ScheduleFacts) {
  return schedule.spec.concurrencyPolicy ?? SCHEDULE_DEFAULTS.concurrencyPolicy;
}

function activeBefore(facts: ScheduleFacts, run: Run): readonly Checkpoint[] {
  return facts.checkpoints.filter((one) => isActive(one) && runOf(one) !== run.id);
}

function toCancel(facts: ScheduleFacts, run: Run): readonly Checkpoint[] {
  return policyOf(facts) === 'Replace' && obeysPolicy(run)
    ? activeBefore(facts, run).filter(({ spec }) => spec.cancel !== true)
    : [];
}

function judge(facts: ScheduleFacts, run: Run, taken: ReadonlySet<string>): Verdict {
  const skip = (reason: string, message: string): Verdict => ({
    skipped: { time: formatTime(run.momentMillis), reason, message },
  });
  const active = activeBefore(facts, run);
  if (obeysPolicy(run) && policyOf(facts) === 'Forbid' && active.length > 0) {
    const names = someNames(active.map(({ metadata }) => metadata.name));
    return run.trigger === 'RunNow'
      ? 'later'
      : skip('StillActive', `a run of ${what(run)} was left out: ${names} not finished`);
  }
  if (run.pods.length === 0) {
    return skip('NoPodsSelected', `a run of ${what(run)} found no running pod of its own to save`);
  }
  // One that is tried again goes on where it was.
  const begun = facts.checkpoints.filter((one) => runOf(one) === run.id).length;
  const busy = obeysPolicy(run) ? new Set<string>() : beingSaved(facts.checkpoints);
  const free = run.pods.filter(({ metadata: { name } }) => !taken.has(name) && !busy.has(name));
  const pods = chosen(facts, run, free, begun);
  if (pods.length === 0 && begun === 0) {
    const names = someNames(run.pods.map(({ metadata }) => metadata.name));
    return skip('RecentlySaved', `a run of ${what(run)} was left out: ${names} just saved`);
  }
  return { run: { ...run, pods } };
}

function chosen(
  facts: ScheduleFacts,
  run: Run,
  free: readonly Pod[],
  begun: number,
): readonly Pod[] {
  const most = obeysPolicy(run) ? (facts.schedule.spec.maxPodsPerRun ?? Infinity) : Infinity;
  return oldestFirst(free, facts.checkpoints).slice(0, Math.max(0, most - begun));
}

function what({ trigger, momentMillis }: Run): string {
  return `${trigger} at ${formatTime(momentMillis)}`;
}
