// Which Checkpoints a schedule keeps (pure). Rules count runs of a workload; what somebody still needs, and the newest
// of every workload, stays whatever they say.
import type { ScheduleRetention } from '../../crds/checkpoint-schedule.ts';
import { parseDuration } from '../../kube/duration.ts';
import { parseBytes } from '../../kube/quantity.ts';
import { BUCKETS, Calendar } from './calendar.ts';

/** A Checkpoint that can be restored, as retention sees it. */
export interface Kept {
  readonly name: string;
  /** what it is a Checkpoint of: rules count within it */
  readonly workload: string;
  readonly run: string;
  readonly savedMillis: number;
  readonly bytes: number;
  /** the Checkpoint whose bundle it needs, too */
  readonly parent?: string;
  /** why it must stay: `is held`, `Restore x uses it` */
  readonly needed?: string;
}

export interface RetentionRules extends ScheduleRetention {
  readonly successfulHistoryLimit?: number;
  readonly timeZone: string;
}

export interface RetentionVerdict {
  readonly remove: readonly string[];
  /** kept although no rule asks for it, and why; or more bytes than allowed */
  readonly blocked: readonly string[];
}

export function retention(all: readonly Kept[], rules: RetentionRules): RetentionVerdict {
  const calendar = new Calendar(rules.timeZone);
  const byWorkload = workloads(all);
  const wanted = new Set(byWorkload.flatMap((runs) => wantedRuns(runs, rules, calendar)));
  const newest = new Set(byWorkload.flatMap((runs) => runs[0]?.members ?? []));
  const staying = fitting(all, wanted, newest, rules);
  const needs = neededBy(all, staying);
  const remove = all.filter((one) => !staying.has(one) && !needs.has(one));
  const spared = all.filter((one) => !staying.has(one) && needs.has(one));
  return {
    remove: remove.map(({ name }) => name),
    blocked: [
      ...spared.map((one) => `${one.name}: ${needs.get(one)}`),
      ...tooMuch([...staying, ...spared], rules),
    ],
  };
}

/** The Checkpoints of one run of one workload. */
interface RunOfWorkload {
  readonly savedMillis: number;
  readonly members: readonly Kept[];
}

/** The runs of every workload, newest first. */
function workloads(all: readonly Kept[]): readonly (readonly RunOfWorkload[])[] {
  return [...Map.groupBy(all, ({ workload }) => workload).values()].map((members) =>
    [...Map.groupBy(members, ({ run }) => run).values()]
      .map((ofRun) => ({
        savedMillis: Math.max(...ofRun.map(({ savedMillis }) => savedMillis)),
        members: ofRun,
      }))
      .toSorted((a, b) => b.savedMillis - a.savedMillis),
  );
}

function wantedRuns(
  runs: readonly RunOfWorkload[],
  rules: RetentionRules,
  calendar: Calendar,
): readonly Kept[] {
  const limited = runs.slice(0, rules.successfulHistoryLimit ?? Infinity);
  const byRule = [
    rules.keepLast === undefined ? undefined : runs.slice(0, rules.keepLast),
    rules.keepWithin === undefined ? undefined : within(runs, parseDuration(rules.keepWithin)),
    ...BUCKETS.map(({ rule, size }) => {
      const count = rules[rule];
      return count === undefined
        ? undefined
        : lastOfEach(runs, count, (millis) => calendar.bucketOf(millis, size));
    }),
  ].filter((kept) => kept !== undefined);
  const kept = byRule.length === 0 ? runs : byRule.flat();
  return limited.filter((run) => kept.includes(run)).flatMap(({ members }) => members);
}

/** Counted from the newest and not from now: a clock that jumps ahead, or a pause, must not empty the store. */
function within(runs: readonly RunOfWorkload[], millis: number): readonly RunOfWorkload[] {
  const newest = runs[0]?.savedMillis ?? 0;
  return runs.filter(({ savedMillis }) => newest - savedMillis <= millis);
}

function lastOfEach(
  runs: readonly RunOfWorkload[],
  count: number,
  bucket: (millis: number) => string,
): readonly RunOfWorkload[] {
  return runs
    .filter((run, index) => {
      const newer = runs[index - 1];
      return newer === undefined || bucket(newer.savedMillis) !== bucket(run.savedMillis);
    })
    .slice(0, count);
}

/** Takes away the oldest until the sum is within `maxBytes`, as far as anything may go. */
function fitting(
  all: readonly Kept[],
  wanted: ReadonlySet<Kept>,
  newest: ReadonlySet<Kept>,
  rules: RetentionRules,
): ReadonlySet<Kept> {
  const most = maxBytes(rules);
  const staying = new Set([...wanted, ...newest]);
  const oldestFirst = all.toSorted((a, b) => a.savedMillis - b.savedMillis);
  // Every turn takes one away: a child before its parent can go.
  for (let turn = 0; turn < all.length; turn++) {
    const needs = neededBy(all, staying);
    const present = all.filter((one) => staying.has(one) || needs.has(one));
    const next = oldestFirst.find((one) => staying.has(one) && !newest.has(one) && !needs.has(one));
    if (sumOf(present) <= most || next === undefined) {
      break;
    }
    staying.delete(next);
  }
  return staying;
}

/** What must stay besides, and why: by itself, or because what stays is built on it. */
function neededBy(all: readonly Kept[], staying: ReadonlySet<Kept>): ReadonlyMap<Kept, string> {
  const byName = new Map(all.map((one) => [one.name, one]));
  const needs = new Map<Kept, string>();
  for (const one of all) {
    if (one.needed !== undefined) {
      needs.set(one, one.needed);
    }
  }
  for (const child of [...staying, ...needs.keys()]) {
    markAncestors(child, byName, needs);
  }
  return needs;
}

function markAncestors(
  child: Kept,
  byName: ReadonlyMap<string, Kept>,
  needs: Map<Kept, string>,
): void {
  let current = child;
  // A chain cannot be longer than all there is, even if it is a ring.
  for (let length = 0; length < byName.size; length++) {
    const parent = byName.get(current.parent ?? '');
    if (parent === undefined || parent === child) {
      return;
    }
    needs.set(parent, needs.get(parent) ?? `${current.name} is built on it`);
    current = parent;
  }
}

function maxBytes(rules: RetentionRules): number {
  return rules.maxBytes === undefined ? Infinity : parseBytes(String(rules.maxBytes));
}

function tooMuch(staying: readonly Kept[], rules: RetentionRules): readonly string[] {
  const bytes = sumOf(staying);
  return bytes > maxBytes(rules)
    ? [`${bytes} bytes stay, more than spec.retention.maxBytes: none of them may go`]
    : [];
}

function sumOf(some: readonly Kept[]): number {
  return some.reduce((sum, { bytes }) => sum + bytes, 0);
}
