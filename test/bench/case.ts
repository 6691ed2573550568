// What is measured of one program: each engine once per round, in turn, each time with a fresh victim.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CommandRun,
  type CriuProgram,
  dumpWith,
  mustSucceed,
  restoreWith,
} from '../victims/criu-command.ts';
import { buildVictim, startVictim, type Victim, watch } from '../victims/victim.ts';

export interface BenchCase {
  readonly mebibytes: number;
  readonly threads: number;
}

export const MEASURES = {
  noise: 'gap in 200 ms without a dump',
  gap: 'gap seen by the application',
  durable: 'time until durable',
  answer: 'time until the restored program answers',
  dumpCpu: 'processor time of the dump command',
  dumpPeak: 'largest resident memory of the dump command',
  dumpStart: 'of the dump: start-up of the command',
  restoreStart: 'of the restore: start-up of the command',
} as const;
export type Measure = keyof typeof MEASURES;
export type Figures = Partial<Record<Measure, number>>;

export const UNITS: Readonly<Record<Measure, string>> = {
  noise: 'ms',
  gap: 'ms',
  durable: 'ms',
  answer: 'ms',
  dumpCpu: 'ms',
  dumpPeak: 'MiB',
  dumpStart: 'ms',
  restoreStart: 'ms',
};

const pause = (millis: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, millis));

/** The victim's longest gap since it was asked last. */
async function longestGap(victim: Victim): Promise<number> {
  const asked = [...victim.output().matchAll(/^gap /gm)].length;
  victim.signal('SIGUSR1');
  for (const end = Date.now() + 10_000; Date.now() < end; await pause(5)) {
    const gap = [...victim.output().matchAll(/^gap ([\d.]+) ms$/gm)][asked];
    if (gap) return Number(gap[1]);
  }
  throw new Error('the victim does not tell its gap');
}

/** Dirty data of others must not be written in our time: the file system is clean when a measurement starts. */
function settle(directory: string): void {
  execFileSync('sync', ['-f', directory]);
}

/** User and system time of ended children, milliseconds in steps of 10: proc_pid_stat(5), cutime and cstime. */
function childrenCpuMillis(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

/** Before the engine proper began: the program's own start, the loading of its code. Only our log says when that was. */
function startUpMillis(run: CommandRun, firstStage: string): number | undefined {
  const stamp = (pattern: RegExp): number => Number(pattern.exec(run.log)?.[1] ?? Number.NaN);
  const begun = stamp(new RegExp(`^\\(([\\d.]+)\\) stage ${firstStage}$`, 'm'));
  const ended = stamp(/^\(([\d.]+)\) \w+ finished successfully$/m);
  const millis = run.millis - (ended - begun) * 1000;
  return Number.isFinite(millis) ? millis : undefined;
}

/** `--leave-running`: the gap and the time until everything is on disk. */
export async function measureDump(
  program: CriuProgram,
  { mebibytes, threads }: BenchCase,
  directory: string,
): Promise<Figures> {
  using victim = await startVictim(buildVictim('load'), [String(mebibytes), String(threads)]);
  const imagesDir = mkdtempSync(join(directory, 'images-'));
  try {
    settle(directory);
    await longestGap(victim);
    await pause(200);
    const noise = await longestGap(victim);
    const cpu = childrenCpuMillis();
    const run = await dumpWith(program, { pid: victim.pid, imagesDir, leaveRunning: true });
    mustSucceed(`${program.name} dump`, run);
    const dumpCpu = childrenCpuMillis() - cpu;
    const sync = performance.now();
    // Ours has synchronised its images by then; CRIU never does.
    if (program.name === 'criu') settle(imagesDir);
    const durable = run.millis + performance.now() - sync;
    const dumpStart = startUpMillis(run, 'seizing');
    return {
      noise,
      gap: await longestGap(victim),
      durable,
      dumpCpu,
      dumpPeak: run.peakBytes / 2 ** 20,
      ...(dumpStart === undefined ? {} : { dumpStart }),
    };
  } finally {
    rmSync(imagesDir, { recursive: true, force: true });
  }
}

/** Dump and end, then restore: from the start of the command until the program's first own word. */
export async function measureRestore(
  program: CriuProgram,
  { mebibytes, threads }: BenchCase,
  directory: string,
): Promise<Figures> {
  using victim = await startVictim(buildVictim('load'), [String(mebibytes), String(threads)]);
  const imagesDir = mkdtempSync(join(directory, 'images-'));
  try {
    settle(directory);
    mustSucceed(`${program.name} dump`, await dumpWith(program, { pid: victim.pid, imagesDir }));
    settle(directory);
    const run = await restoreWith(program, imagesDir);
    mustSucceed(`${program.name} restore`, run);
    using restored = watch(victim.pid, victim.dir, join(victim.dir, 'out'));
    const answer = await firstWord(restored, run.startedAtSeconds);
    restored.signal('SIGUSR2');
    const checksum = await restored.waitForLine(/^checksum/);
    if (checksum !== 'checksum same') throw new Error(`${program.name} restored other memory`);
    const restoreStart = startUpMillis(run, 'validating');
    return { answer, ...(restoreStart === undefined ? {} : { restoreStart }) };
  } finally {
    rmSync(imagesDir, { recursive: true, force: true });
  }
}

async function firstWord(victim: Victim, sinceSeconds: number): Promise<number> {
  for (const end = Date.now() + 30_000; Date.now() < end; await pause(5)) {
    const times = [...victim.output().matchAll(/^resumed at ([\d.]+) after/gm)].map((m) =>
      Number(m[1]),
    );
    const first = times.find((seconds) => seconds > sinceSeconds);
    if (first !== undefined) return (first - sinceSeconds) * 1000;
  }
  throw new Error('the restored program says nothing');
}
