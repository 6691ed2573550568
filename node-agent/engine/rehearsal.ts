// Dumps and restores a process of its own before the real one: code that runs for the first time is ten times as slow, and in
// the freeze that would be the application's time.
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { init } from '../../shim/shim.generated.ts';
import { dump } from './dump.ts';
import { HeldApplication } from './held-application.ts';
import { SIGNAL, sendSignal } from './linux/signals.ts';
import { spawnProgram } from './linux/spawn.ts';
import { poll } from './linux/wait.ts';
import { PreCopied } from './pre-copy.ts';
import type { AfterDump, DumpTask } from './protocol.ts';
import { RehearsalDescriptors } from './rehearsal-descriptors.ts';
import { Reporter } from './reporter.ts';
import { describeMoment, describeNode } from './requirements.ts';
import { restore } from './restore.ts';
import { Snapshots } from './snapshots.ts';
import { waitFor } from './tracee/deadline.ts';
import { TreeDump } from './tree-dump.ts';
import { WriteTracking } from './write-tracking.ts';

const DUMP_ROUNDS = 4;
const RESTORE_ROUNDS = 2;
/** Images that are restored are sealed: a disk with much to write would keep us waiting. */
const MEMORY_FOLDER = '/dev/shm';
const END_MILLIS = 2000;

/**
 * Some 100 ms. Whatever goes wrong here will be told when it matters.
 *
 * @returns false when it ended early, which costs nothing but speed
 */
export function rehearse(): boolean {
  try {
    rehearseAll();
    return true;
  } catch {
    return false;
  }
}

function rehearseAll(): void {
  using folders = new DisposableStack();
  const dir = makeFolder(tmpdir(), folders);
  let pid: number | undefined;
  try {
    pid = startStandIn(join(dir, 'stand-in'));
    for (let round = 0; round < DUMP_ROUNDS; round++) {
      rehearseDump(pid, mkdtempSync(join(dir, 'images-')));
    }
    const images = existsSync(MEMORY_FOLDER) ? makeFolder(MEMORY_FOLDER, folders) : dir;
    dump(taskOf(pid, images, 'Kill'), silent());
    pid = undefined;
    for (let round = 0; round < RESTORE_ROUNDS; round++) rehearseRestore(images);
  } finally {
    if (pid !== undefined) end(pid);
  }
}

const silent = (): Reporter => new Reporter(() => {});

/** A folder that is gone with the stack. */
function makeFolder(parent: string, folders: DisposableStack): string {
  const folder = mkdtempSync(join(parent, 'diapause-rehearsal-'));
  folders.defer(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The placeholder's program as a file, so that it is as ordinary as possible; our own pipes could not be saved. */
function startStandIn(program: string): number {
  writeFileSync(program, Buffer.from(init.bytesBase64, 'base64'), { mode: 0o700 });
  const executable = openSync(program, 'r');
  const nothing = openSync('/dev/null', 'r+');
  const stdio = [nothing, nothing, nothing] as const;
  try {
    using _inherited = new RehearsalDescriptors();
    return spawnProgram({ executable, argv: ['stand-in', 'stand'], stdio, newSession: true });
  } finally {
    closeSync(executable);
    closeSync(nothing);
  }
}

function taskOf(rootPid: number, imagesDir: string, afterDump: AfterDump): DumpTask {
  return {
    type: 'dump',
    trees: [{ name: 'rehearsal', rootPid, imagesDir }],
    afterDump,
    freezeLimitMillis: 0,
    establishedSockets: 'Fail',
    maxGhostBytes: 0,
    maxBytes: 0,
    dryRun: false,
  };
}

/** The steps of `dump.ts` up to the pages; what it finds is of no interest. */
function rehearseDump(rootPid: number, imagesDir: string): void {
  const task = taskOf(rootPid, imagesDir, 'Resume');
  const [tree] = task.trees;
  if (!tree) return;
  using application = HeldApplication.seize(task.trees);
  application.prepare();
  describeNode(rootPid);
  using preCopied = new PreCopied();
  using tracking = WriteTracking.begin(application, task, preCopied);
  using state = TreeDump.prepare(tree, { application, task, tracking, preCopied });
  application.freeze(0);
  state.collect(application);
  describeMoment(application.processes[0]!);
  state.copyVolatile();
  using snapshots = Snapshots.take(application, [state], () => {});
  application.letGo();
  state.savePages(snapshots, silent());
}

/** It comes back stopped, and never runs. */
function rehearseRestore(imagesDir: string): void {
  const trees = [{ name: 'rehearsal', imagesDir }];
  const { rootPids } = restore({ type: 'restore', trees, leaveStopped: true }, silent());
  for (const pid of rootPids) end(pid);
}

function end(pid: number): void {
  sendSignal(pid, SIGNAL.SIGKILL);
  waitFor('the end of the rehearsal', END_MILLIS, () => poll(pid));
}
