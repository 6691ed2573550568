// Is a victim as well as if nobody had ever touched it? Judged from outside and by what it says about itself.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { Victim } from './victim.ts';

const WAIT_MILLIS = 10_000;
const POLL_MILLIS = 5;

const pause = (millis: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, millis));

export interface TaskState {
  readonly pid: number;
  readonly tid: number;
  readonly name: string;
  readonly state: string;
  readonly tracer: number;
  /** blocked, ignored and caught signals, as in proc_pid_status(5) */
  readonly signals: string;
}

/** Every thread of a process and of its descendants; who ends meanwhile is left out. */
export function tasksOf(root: number): TaskState[] {
  const tasks: TaskState[] = [];
  const pending = [root];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    try {
      tasks.push(...readdirSync(`/proc/${pid}/task`).map((tid) => taskState(pid!, Number(tid))));
      pending.push(...childrenOf(pid));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return tasks;
}

function childrenOf(pid: number): number[] {
  const lists = readdirSync(`/proc/${pid}/task`).map((tid) =>
    readFileSync(`/proc/${pid}/task/${tid}/children`, 'latin1'),
  );
  return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
}

/** Who is there and how each takes signals: what a dump may never change. */
export function identities(root: number): string[] {
  return tasksOf(root)
    .map(
      ({ tid, name, state, signals }) =>
        `${tid} ${name}${state === 'Z' ? ' zombie' : ''} ${signals}`,
    )
    .toSorted();
}

function isGone(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === 'ENOENT' || code === 'ESRCH';
}

function taskState(pid: number, tid: number): TaskState {
  const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'latin1');
  const field = (name: string): string =>
    new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  return {
    pid,
    tid,
    name: field('Name'),
    state: field('State').charAt(0),
    tracer: Number(field('TracerPid')),
    signals: ['SigBlk', 'SigIgn', 'SigCgt'].map(field).join(' '),
  };
}

/** What a process has open: the numbers, and what each leads to. */
export function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`)
    .toSorted();
}

/** Waits until it has nothing open but these: an orphaned thread needs a moment to close what is ours. */
export async function mustHaveOpen(victim: Victim, wanted: readonly string[]): Promise<void> {
  for (const end = Date.now() + WAIT_MILLIS; Date.now() < end; await pause(POLL_MILLIS)) {
    if (isDeepStrictEqual(descriptorsOf(victim.pid), wanted)) return;
  }
  assert.deepEqual(descriptorsOf(victim.pid), wanted);
}

/** Anonymous memory that is executable: nothing but our interpreter is, in these victims. */
export function foreignMappings(pid: number): string[] {
  return readFileSync(`/proc/${pid}/maps`, 'latin1')
    .split('\n')
    .filter((line) => /^\S+ r[w-]xp 00000000 00:00 0 *$/.test(line));
}

/** The next line that matches and was not there before `action`. */
export async function nextLine(
  victim: Victim,
  pattern: RegExp,
  action: () => void,
): Promise<string> {
  const matching = (): string[] =>
    victim
      .output()
      .split('\n')
      .filter((line) => pattern.test(line));
  const before = matching().length;
  action();
  for (const end = Date.now() + WAIT_MILLIS; Date.now() < end; await pause(POLL_MILLIS)) {
    const line = matching()[before];
    if (line !== undefined && victim.output().includes(`${line}\n`)) return line;
  }
  throw new Error(`it does not answer with ${pattern}: ${describe(victim)}`);
}

/** The lines between `report N` and `report N end` that it gives when asked, without these words. */
export async function nextReport(victim: Victim): Promise<string[]> {
  const end = await nextLine(victim, /^report \d+ end$/, () => victim.signal('SIGUSR1'));
  const number = /^report \d+ /.exec(end)![0];
  const lines = victim.output().split('\n');
  return lines.filter((line) => line.startsWith(number)).map((line) => line.slice(number.length));
}

export function describe(victim: Victim): string {
  const tasks = tasksOf(victim.pid).map(
    (t) => `${t.name} ${t.pid}/${t.tid} ${t.state} tracer ${t.tracer}`,
  );
  return `${tasks.join(', ') || 'no such process'}; it said: ${victim.output().slice(-600)}`;
}

/** A pattern that nothing matches. */
export const NOTHING = /(?!)/;

/** What the victim itself found wrong. */
export function complaints(victim: Victim): string[] {
  return victim
    .output()
    .split('\n')
    .filter((line) => line.startsWith('WRONG'));
}

const TICKS = /^report \d+ (?:wrong \d+ )?ticks ([\d ]+)/;

/** What each thread or process of the victim has counted so far. */
async function ticks(victim: Victim): Promise<number[]> {
  const line = await nextLine(victim, TICKS, () => victim.signal('SIGUSR1'));
  return TICKS.exec(line)![1]!.trim().split(' ').map(Number);
}

/**
 * Waits until the victim has gone on in every part, then looks for what may not be.
 *
 * @param stopped number of threads that are stopped because they want to be
 * @param forgiven complaints of its own that do not count
 * @throws Error that says what is wrong with it
 */
export async function mustBeWell(
  victim: Victim,
  stopped = 0,
  forgiven: RegExp = NOTHING,
): Promise<void> {
  if (!victim.alive()) throw new Error(`it is dead: ${describe(victim)}`);
  const before = await ticks(victim);
  for (const end = Date.now() + WAIT_MILLIS; ; await pause(POLL_MILLIS)) {
    const now = await ticks(victim);
    const tasks = tasksOf(victim.pid);
    const atRest = tasks.filter(({ state }) => state === 'T' || state === 't').length === stopped;
    if (now.every((count, i) => count > before[i]!) && atRest && tasks.every((t) => t.tracer === 0))
      break;
    if (Date.now() > end) throw new Error(`it does not go on: ${describe(victim)}`);
  }
  const wrong = complaints(victim).filter((line) => !forgiven.test(line));
  if (wrong.length > 0) throw new Error(`${wrong.join(', ')}: ${describe(victim)}`);
}
