// A volume entered through the root of another process, with a real mount and a real lock.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TaskStore } from '../../crds/node-task.ts';
import { until } from '../../kube/testing/until.ts';
import { ProcessHandle } from '../container/process-handle.ts';
import { openHolder, type StoreSession } from './holder.ts';
import { FLOCK } from './testing/run-agent.ts';

const skip = process.getuid?.() === 0 ? false : 'mounting needs root';
const never = new AbortController().signal;

interface Holder extends AsyncDisposable {
  readonly process: ProcessHandle;
  readonly executable: string;
  kill(): void;
}

/** A process with a small file system at `<folder>/store` in a mount namespace of its own. */
async function startHolder(folder: string): Promise<Holder> {
  const executable = join(folder, 'holder');
  await copyFile('/bin/sleep', executable);
  mkdirSync(join(folder, 'store'), { recursive: true });
  const script = `mount -t tmpfs diapause-test "$0/store" && exec "$0/holder" 60`;
  const child = spawn('unshare', ['--mount', 'sh', '-c', script, folder], { stdio: 'inherit' });
  await until('holder runs', () => comm(child) === 'holder');
  const process = ProcessHandle.open(child.pid ?? 0);
  assert.ok(process !== undefined);
  return {
    process,
    executable,
    kill: () => child.kill('SIGKILL'),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) {
        await once(child, 'exit');
      }
    },
  };
}

function comm({ pid }: ChildProcess): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
}

const storeAt = (mountPath: string): TaskStore => ({
  holder: { namespace: 'team', name: 'holder', uid: 'h' },
  holderContainerID: '',
  mountPath,
  bundlePath: 'team/x',
});

async function withHolder(body: (holder: Holder, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'diapause-holder-'));
  try {
    await using holder = await startHolder(folder);
    await body(holder, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const open = (holder: Holder, mountPath: string, signal = never): Promise<StoreSession> =>
  openHolder(storeAt(mountPath), { flockProgram: FLOCK, process: holder.process, signal });

/** What the holder's init does before it ends. */
async function canLockExclusively(executable: string): Promise<boolean> {
  const fd = openSync(executable, 'r');
  const child = spawn(FLOCK, ['--exclusive', '--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
  });
  const [status] = (await once(child, 'exit')) as [number];
  closeSync(fd);
  return status === 0;
}

test('the volume is that of the holder, and the holder waits for us', { skip }, () =>
  withHolder(async (holder, folder) => {
    const session = await open(holder, `${folder}/store`);
    await session.root.writeFile('file', 'content');
    assert.ok(!existsSync(`${folder}/store/file`), 'our own mount namespace does not show it');
    assert.equal(readFileSync(holder.process.path(`root${folder}/store/file`), 'utf8'), 'content');
    assert.equal(await canLockExclusively(holder.executable), false);
    await session[Symbol.asyncDispose]();
    assert.equal(await canLockExclusively(holder.executable), true);
    await assert.rejects(session.root.entries(), { message: 'the session is closed' });
  }),
);

test('a holder that is about to end is not entered', { skip }, () =>
  withHolder(async (holder, folder) => {
    const ending = spawn(FLOCK, ['--exclusive', holder.executable, 'sleep', '60'], {
      detached: true,
      stdio: 'ignore',
    });
    let locked = false;
    while (!locked) {
      locked = !(await canLockExclusively(holder.executable));
    }
    await assert.rejects(open(holder, `${folder}/store`), {
      code: 'HolderLost',
      retryable: true,
      message: /is ending/,
    });
    process.kill(-(ending.pid ?? 0), 'SIGKILL');
    await once(ending, 'exit');
  }),
);

test('a holder that is killed takes everything with it at once', { skip }, () =>
  withHolder(async (holder, folder) => {
    await using session = await open(holder, `${folder}/store`);
    const aborted = once(session.signal, 'abort');
    holder.kill();
    await aborted;
    assert.equal((session.signal.reason as { code: string }).code, 'HolderLost');
    await assert.rejects(session.root.writeFile('late', 'x'), { code: 'HolderLost' });
  }),
);

test('the end of the task is the end of the session', { skip }, () =>
  withHolder(async (holder, folder) => {
    const task = new AbortController();
    await using session = await open(holder, `${folder}/store`, task.signal);
    task.abort(new Error('cancelled'));
    assert.equal((session.signal.reason as Error).message, 'cancelled');
  }),
);

test('a path where nothing is mounted is no volume', { skip }, () =>
  withHolder(async (holder, folder) => {
    mkdirSync(`${folder}/plain`);
    await assert.rejects(open(holder, `${folder}/plain`), { code: 'StoreUnavailable' });
  }),
);

test('a dead holder is lost', { skip }, () =>
  withHolder(async (holder, folder) => {
    holder.kill();
    await until('dead', () => !holder.process.alive);
    await assert.rejects(open(holder, `${folder}/store`), { code: 'HolderLost' });
    writeFileSync(join(folder, 'x'), '');
  }),
);
