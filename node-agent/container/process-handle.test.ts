import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { ProcessHandle } from './process-handle.ts';

async function startSleeper(): Promise<ChildProcess & { readonly pid: number }> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  return child as ChildProcess & { readonly pid: number };
}

test('a handle outlives its process without ever meaning another one', async () => {
  const child = await startSleeper();
  using handle = ProcessHandle.open(child.pid)!;
  assert.ok(handle.alive);
  assert.match(handle.startTime, /^\d+$/);
  assert.match(handle.readLink('exe'), /sleep/);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(handle.alive, false);
  assert.throws(() => handle.read('stat'), { code: 'ESRCH' });
  assert.throws(() => handle.assertAlive('container x'), { code: 'ContainerNotRunning' });
});

test('another start time is another process', async () => {
  const child = await startSleeper();
  const first = ProcessHandle.open(child.pid)!;
  using again = ProcessHandle.open(child.pid, first.startTime);
  assert.ok(again !== undefined);
  assert.equal(ProcessHandle.open(child.pid, `${first.startTime}1`), undefined);
  first[Symbol.dispose]();
  assert.equal(first.alive, false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(ProcessHandle.open(child.pid, again.startTime), undefined);
});

test('0, 1 and nonsense are never a container', () => {
  for (const pid of [0, 1, -1, Number.NaN, 1.5]) {
    assert.throws(() => ProcessHandle.open(pid), { code: 'ContainerMismatch' });
  }
});
