// Dumps a process of its own before the real one: code that runs for the first time is ten times as slow, and in the freeze
// that would be the application's time.
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { init } from '../../shim/shim.generated.ts';
import { HeldApplication } from './held-application.ts';
import { SIGNAL, sendSignal } from './linux/signals.ts';
import { spawnProgram } from './linux/spawn.ts';
import { poll } from './linux/wait.ts';
import type { DumpTask } from './protocol.ts';
import { Reporter } from './reporter.ts';
import { describeMoment, describeNode } from './requirements.ts';
import { Snapshots } from './snapshots.ts';
import { waitFor } from './tracee/deadline.ts';
import { TreeDump } from './tree-dump.ts';

const ROUNDS = 4;
const END_MILLIS = 2000;

/** Some 100 ms. Whatever goes wrong here will be told when it matters. */
export function rehearse(): void {
  let pid: number | undefined;
  const dir = mkdtempSync(join(tmpdir(), 'diapause-rehearsal-'));
  try {
    pid = startStandIn(join(dir, 'stand-in'));
    for (let round = 0; round < ROUNDS; round++) {
      rehearseOnce(pid, mkdtempSync(join(dir, 'images-')));
    }
  } catch {
    // A rehearsal that fails costs nothing but speed.
  } finally {
    if (pid !== undefined) end(pid);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The placeholder's program as a file, so that it is as ordinary as possible. */
function startStandIn(program: string): number {
  writeFileSync(program, Buffer.from(init.bytesBase64, 'base64'), { mode: 0o700 });
  const executable = openSync(program, 'r');
  try {
    return spawnProgram({ executable, argv: ['stand-in', 'stand'], newSession: true });
  } finally {
    closeSync(executable);
  }
}

/** The steps of `dump.ts` up to the pages; what it finds (our own pipes) is of no interest. */
function rehearseOnce(rootPid: number, imagesDir: string): void {
  const tree = { name: 'rehearsal', rootPid, imagesDir };
  const task: DumpTask = {
    type: 'dump',
    trees: [tree],
    afterDump: 'Resume',
    freezeLimitMillis: 0,
    establishedSockets: 'Fail',
    maxGhostBytes: 0,
    maxBytes: 0,
    dryRun: false,
  };
  using application = HeldApplication.seize(task.trees);
  application.prepare();
  describeNode(rootPid);
  using dump = TreeDump.prepare(tree, application, task);
  application.freeze(0);
  dump.collect(application);
  describeMoment(application.processes[0]!);
  dump.copyVolatile();
  using snapshots = Snapshots.take(application, [dump], () => {});
  application.letGo();
  dump.savePages(snapshots, new Reporter(() => {}));
}

function end(pid: number): void {
  sendSignal(pid, SIGNAL.SIGKILL);
  waitFor('the end of the rehearsal', END_MILLIS, () => poll(pid));
}
