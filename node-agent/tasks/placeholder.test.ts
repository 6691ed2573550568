import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { ProcessHandle } from '../container/process-handle.ts';
import { TaskFailure } from '../task-failure.ts';
import { untilPlaceholder } from './placeholder.ts';

/** A program that names itself once it is told to. */
async function start() {
  const rename = 'read go; printf diapause-init > /proc/$$/comm; echo done; read end';
  const child = spawn('sh', ['-c', rename], { stdio: ['pipe', 'pipe', 'ignore'] });
  await once(child, 'spawn');
  const process = ProcessHandle.open(child.pid!)!;
  return { child, process, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

test('waits for a placeholder that has just been started', async () => {
  using program = await start();
  const found = untilPlaceholder({ name: 'main', process: program.process }, signal());
  program.child.stdin.write('\n');
  await found;
  assert.equal(program.process.read('comm').trim(), 'diapause-init');
});

test('does not wait on when it is told to end', async () => {
  using program = await start();
  const given = new AbortController();
  const waits = untilPlaceholder({ name: 'main', process: program.process }, given.signal);
  given.abort(new TaskFailure('Canceled', 'called back'));
  await assert.rejects(waits, { code: 'Canceled' });
});

const signal = (): AbortSignal => new AbortController().signal;
