// An engine that does what a scenario says: `node fake-engine.ts SCENARIO`. It speaks the real protocol and, where
// asked, really stops processes, so that the watchdog has something to see.
import { existsSync, mkdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { detach, interrupt, seize } from '../../engine/linux/ptrace.ts';
import { poll } from '../../engine/linux/wait.ts';
import { Input } from '../../engine/orders.ts';
import type {
  CleanUpTask,
  DumpResult,
  DumpTask,
  EngineEvent,
  RestoreResult,
  RestoreTask,
  RewindResult,
  RewindTask,
} from '../../engine/protocol.ts';
import { TEST_REQUIREMENTS } from '../../bundle/testing/volume.ts';
import {
  noteCleanUp,
  readScenario,
  rewindScenario,
  ROUND_BYTES,
  type ScenarioStep,
} from './scenario.ts';

type Saving = DumpTask | RestoreTask | RewindTask;

const pause = new Int32Array(new SharedArrayBuffer(4));
const sleepMillis = (millis: number): unknown => Atomics.wait(pause, 0, 0, millis);

function say(event: EngineEvent): void {
  writeSync(1, `${JSON.stringify(event)}\n`);
}

function pidsOf(task: Saving): number[] {
  return task.type === 'dump' ? task.trees.map(({ rootPid }) => rootPid) : [];
}

function stop(pid: number): void {
  seize(pid, 0);
  interrupt(pid);
  while (poll(pid) === undefined) {
    sleepMillis(1);
  }
}

function resultOf(task: Saving): DumpResult | RestoreResult | RewindResult {
  if (task.type === 'rewind') {
    return { endedProcesses: 0, freezeMillis: 1, findings: [] };
  }
  const trees = task.trees.map(({ name }) => ({
    name,
    processes: 1,
    threads: 2,
    memoryBytes: 4096,
  }));
  return task.type === 'dump'
    ? { trees, freezeMillis: 1.5, bytes: 4096, findings: [], requirements: TEST_REQUIREMENTS }
    : { trees, rootPids: [], restoreMillis: 2.5, comparedPages: 3, savedPages: 9, findings: [] };
}

function writeImages(task: Saving, pagesBytes: number): void {
  for (const { imagesDir } of task.trees) {
    writeFileSync(`${imagesDir}/inventory.img`, 'inventory');
    writeFileSync(`${imagesDir}/stats-dump`, 'stats');
    writeFileSync(`${imagesDir}/pages-1.img`, Buffer.alloc(pagesBytes, 'p'));
  }
}

/** Images of each round within those of the next one. Ends when it is told to freeze, which is to be after the last one. */
function copyRounds(task: Saving, dirtyBytes: readonly number[]): void {
  const { trees, rounds } = task as DumpTask;
  const [{ imagesDir } = { imagesDir: '' }] = trees;
  const folders = Array.from({ length: rounds?.most ?? 0 }, (_, i) =>
    join(imagesDir, 'parent/'.repeat(i + 1)),
  ).reverse();
  mkdirSync(folders[0] ?? '', { recursive: true });
  say({ event: 'stage', stage: 'pre-copying', atMillis: 0 });
  dirtyBytes.forEach((dirty, i) => {
    if (i > 0 && input.next().do !== 'copy') {
      throw new Error('the rounds were ended too soon');
    }
    writeFileSync(`${folders[i]}/pages-1.img`, Buffer.alloc(ROUND_BYTES, String(i)));
    say({ event: 'round', round: { number: i + 1, bytes: ROUND_BYTES, millis: 1 } });
    input.next();
    say({ event: 'dirty', bytes: dirty });
  });
  if (input.next().do !== 'freeze') {
    throw new Error('there are no more rounds');
  }
}

function freeze(task: Saving): void {
  if (task.type === 'dump') {
    task.trees.forEach(({ freezerFile = '' }) => writeFileSync(freezerFile, '1'));
  }
}

/** The victim turns itself into what looks like a placeholder; a dry run does not. */
function empty(task: Saving): void {
  if (task.type !== 'rewind' || task.dryRun) return;
  for (const { rootPid } of task.trees) {
    process.kill(rootPid, 'SIGUSR1');
    while (readFileSync(`/proc/${rootPid}/comm`, 'latin1').trim() !== 'diapause-init') {
      sleepMillis(5);
    }
  }
}

function emptyOrResult(task: Saving): void {
  if (task.type === 'rewind' && !task.dryRun) return empty(task);
  say({ event: 'result', result: resultOf(task) });
  process.exit(0);
}

function waitFor(file: string): void {
  while (!existsSync(file)) {
    sleepMillis(5);
  }
}

function goOnForEver(): never {
  for (let bytesDone = 0; ; bytesDone += 1000) {
    say({ event: 'progress', bytesDone, bytesTotal: 1_000_000 });
    sleepMillis(5);
  }
}

function perform(step: ScenarioStep, task: Saving): void {
  switch (step.do) {
    case 'say':
      return say(step.event);
    case 'write-images':
      return writeImages(task, step.pagesBytes);
    case 'copy-rounds':
      return copyRounds(task, step.dirtyBytes);
    case 'stop':
      return pidsOf(task).forEach(stop);
    case 'let-go':
      return pidsOf(task).forEach((pid) => detach(pid));
    case 'freeze':
      return freeze(task);
    case 'empty':
      return empty(task);
    case 'empty-or-result':
      return emptyOrResult(task);
    case 'wait-for':
      return waitFor(step.file);
    case 'go-on-for-ever':
      return goOnForEver();
    case 'result':
      return say({ event: 'result', result: resultOf(task) });
    case 'exit':
      writeSync(2, step.lastWords ?? '');
      process.exit(step.status);
    case 'kill-self':
      process.kill(process.pid, 'SIGKILL');
  }
}

/** Only notes that it was asked to. */
function cleanUp(task: CleanUpTask, scenario: string): void {
  noteCleanUp(
    scenario,
    task.trees.map(({ rootPid }) => rootPid),
  );
  say({ event: 'result', result: { removed: 1, left: 0, freezeMillis: 1 } });
}

say({ event: 'ready' });
const input = new Input(0);
const task = input.task();
const scenario = process.argv[2] ?? '';
if (task.type === 'clean-up') {
  cleanUp(task, scenario);
} else {
  const steps = task.type === 'rewind' ? rewindScenario(scenario) : readScenario(scenario);
  for (const step of steps) {
    perform(step, task);
  }
}
