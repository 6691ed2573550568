// One measurement of one program: a fresh victim, dumped and left running, or dumped, ended and restored.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildVictim, startVictim, type Victim, watch } from '../victims/victim.ts';
import type { BenchCase } from './cases.ts';
import { type Engine, settle } from './engines.ts';
import type { Figures } from './measures.ts';
import { forgetPages, readPages } from './page-cache.ts';

const QUIET_MILLIS = 200;
const ANSWER_MILLIS = 60_000;

const pause = (millis: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, millis));

function startLoad(subject: BenchCase): Promise<Victim> {
  const { mebibytes, threads, processes, files = 0, sockets = 0 } = subject;
  const args = [mebibytes, threads, processes, files, sockets];
  return startVictim(buildVictim('load'), args.map(String));
}

/** Gives `use` an empty directory for images and takes it away again. */
async function withImages<T>(parent: string, use: (imagesDir: string) => Promise<T>): Promise<T> {
  const imagesDir = mkdtempSync(join(parent, 'images-'));
  try {
    return await use(imagesDir);
  } finally {
    rmSync(imagesDir, { recursive: true, force: true });
  }
}

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

/** The program is left running: its gap, and the time until everything is on disk. */
export async function measureDump(
  engine: Engine,
  subject: BenchCase,
  directory: string,
): Promise<Figures> {
  using victim = await startLoad(subject);
  return await withImages(directory, async (imagesDir) => {
    settle(directory);
    await longestGap(victim);
    await pause(QUIET_MILLIS);
    const noise = await longestGap(victim);
    const figures = await engine.dump(victim.pid, imagesDir, true);
    return { ...figures, noise, gap: await longestGap(victim) };
  });
}

/** Where the images are when the restore begins: on another node they are on the disk for whoever wrote them. */
const PLACES = { coldAnswer: forgetPages, warmAnswer: readPages } as const;

/** Below there are hardly any pages that could come later. */
const LEAST_LAZY_MEBIBYTES = 64;

const isLarge = ({ mebibytes }: BenchCase): boolean => mebibytes >= LEAST_LAZY_MEBIBYTES;

/** How often {@link measureRestore} restores. */
export const restoresOf = (engine: Engine, subject: BenchCase): number =>
  Object.keys(PLACES).length * (engine.lazily && isLarge(subject) ? 2 : 1);

/**
 * Dump and end, then restore: from the request until the program's first own word, once for each place of the images and each
 * way to bring the memory. Lazy pages are compared with a restore of CRIU's that is not lazy: its own needs a daemon.
 *
 * @throws Error when the restored memory is not the same
 */
export async function measureRestore(
  engine: Engine,
  subject: BenchCase,
  directory: string,
): Promise<Figures> {
  const coldAnswer = await answerOf(engine, subject, directory, 'coldAnswer');
  const warmAnswer = await answerOf(engine, subject, directory, 'warmAnswer');
  const whole = { coldAnswer, warmAnswer };
  if (!isLarge(subject)) return whole;
  const { lazily } = engine;
  if (!lazily) return { ...whole, lazyColdAnswer: coldAnswer, lazyWarmAnswer: warmAnswer };
  const lazyColdAnswer = await answerOf(lazily, subject, directory, 'coldAnswer');
  const lazyWarmAnswer = await answerOf(lazily, subject, directory, 'warmAnswer');
  return { ...whole, lazyColdAnswer, lazyWarmAnswer };
}

async function answerOf(
  engine: Engine,
  subject: BenchCase,
  directory: string,
  place: keyof typeof PLACES,
): Promise<number> {
  using victim = await startLoad(subject);
  return await withImages(directory, async (imagesDir) => {
    settle(directory);
    await engine.dump(victim.pid, imagesDir, false);
    settle(directory);
    PLACES[place](imagesDir);
    const askedAtSeconds = await engine.restore(imagesDir);
    using restored = watch(victim.pid, victim.dir, join(victim.dir, 'out'));
    const answer = await firstWord(restored, askedAtSeconds);
    restored.signal('SIGUSR2');
    const checksum = await restored.waitForLine(/^checksum/);
    if (checksum !== 'checksum same') throw new Error(`${engine.name} restored other memory`);
    return answer;
  });
}

async function firstWord(victim: Victim, sinceSeconds: number): Promise<number> {
  for (const end = Date.now() + ANSWER_MILLIS; Date.now() < end; await pause(5)) {
    const times = [...victim.output().matchAll(/^resumed at ([\d.]+) after/gm)].map((match) =>
      Number(match[1]),
    );
    const first = times.find((seconds) => seconds > sinceSeconds);
    if (first !== undefined) return (first - sinceSeconds) * 1000;
  }
  throw new Error('the restored program says nothing');
}
