// 29 kinds of blocking system call through a dump, and through a dump and a restore: how many answer wrongly?
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type CriuProgram, dumpWith, mustSucceed, restoreWith } from '../victims/criu-command.ts';
import { buildVictim, startVictim, type Victim, watch } from '../victims/victim.ts';

export type RestartTest = 'leave-running' | 'restore';

export interface RestartVerdict {
  readonly calls: number;
  /** EINTR although no handler ran, or a wake-up before its time */
  readonly wrong: readonly string[];
  /** calls that had not returned when all of them should have */
  readonly missing: number;
}

const SLEEP_MILLIS = 3000;
const DUMP_AFTER_MILLIS = 500;
/** A call may have to begin its time-out again (poll, epoll); what was down in between comes on top. */
const PATIENCE_MILLIS = SLEEP_MILLIS + 2000;

const pause = (millis: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, millis));

export async function testRestarts(
  program: CriuProgram,
  how: RestartTest,
  directory: string,
): Promise<RestartVerdict> {
  using victim = await startVictim(buildVictim('restarts'), [String(SLEEP_MILLIS)]);
  const imagesDir = mkdtempSync(join(directory, 'images-'));
  try {
    await pause(DUMP_AFTER_MILLIS);
    const leaveRunning = how === 'leave-running';
    mustSucceed('dump', await dumpWith(program, { pid: victim.pid, imagesDir, leaveRunning }));
    if (leaveRunning) return await judge(victim);
    mustSucceed('restore', await restoreWith(program, imagesDir));
    using restored = watch(victim.pid, victim.dir, join(victim.dir, 'out'));
    return await judge(restored);
  } finally {
    rmSync(imagesDir, { recursive: true, force: true });
  }
}

/** Waits for the calls with a time-out, wakes those without, and asks for the sum. */
async function judge(victim: Victim): Promise<RestartVerdict> {
  await pause(PATIENCE_MILLIS);
  victim.signal('SIGUSR1');
  await pause(500);
  victim.signal('SIGTERM');
  const verdict = await victim.waitForLine(/^verdict/);
  const match = /^verdict wrong (\d+) done (\d+) of (\d+)$/.exec(verdict);
  if (!match) throw new Error(`not a verdict: ${verdict}`);
  const wrong = [...victim.output().matchAll(/^WRONG (.*)$/gm)].map((m) => m[1]!);
  if (wrong.length !== Number(match[1])) throw new Error(`${wrong.length} wrong, but ${verdict}`);
  return { calls: Number(match[3]), wrong, missing: Number(match[3]) - Number(match[2]) };
}

export function describeVerdict(
  program: CriuProgram,
  how: RestartTest,
  { calls, wrong, missing }: RestartVerdict,
): string {
  const after = how === 'restore' ? 'dump and restore' : 'a dump';
  const list = wrong.map((what) => `\n    ${what}`).join('');
  const late = missing > 0 ? `, ${missing} never returned` : '';
  return `wrong system call results of ${calls} after ${after}: ${program.name} ${wrong.length}${late}${list}`;
}
