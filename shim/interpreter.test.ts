// The committed interpreter, run natively by a small C program: each case is one run of it (test/*.c).
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { interpreter } from './shim.generated.ts';

const CASES = [
  ['references', 'arguments refer to earlier results, with a distance of either sign'],
  ['load', 'what a call has written to memory is closed by the will of a dead engine'],
  ['stop-on-error', 'a failed operation ends the batch where it is told to'],
  ['fork-guard', 'a child born in a batch that nobody traces exits at once'],
  ['will', 'the will of a dead engine is carried out, even after a batch that stopped'],
  ['raw-syscall', 'the system call stub passes six arguments and answers -errno'],
  ['pump', 'the page pump sends every byte of long, single and empty ranges'],
  ['pump-drop', 'the page pump drops what it has sent and nothing else, unread pages survive'],
  ['pump-unreadable', 'the page pump reports what it cannot read'],
  ['pump-no-reader', 'a pump without a reader leaves no SIGPIPE to the application'],
  ['pump-busy', 'the page pump goes on after signals'],
  ['zero-scan', 'the zero scan finds exactly the pages of zeros'],
  ['registers', 'an orphaned thread gets all registers, flags and its signal mask back'],
  ['pending-signal', 'a pending signal is handled on the stack of the application'],
  ['alternate-stack', 'a pending signal spares the live frames of the alternate stack'],
  ['own-mask', 'signals that the engine had no time to block do not disturb the batch'],
  ['traced', 'a traced thread ends its batch in a stop'],
  ['spawn', 'spawn arranges files, session and signal mask of the child'],
  ['spawn-failure', 'spawn reports what failed in the child and reaps it'],
] as const;

const folder = mkdtempSync(join(tmpdir(), 'interpreter-'));
after(() => rmSync(folder, { recursive: true }));

const compiler = spawnSync('cc', ['-dumpversion']).status === 0;
const skip = compiler ? false : 'there is no C compiler (cc) on this machine';
const blob = join(folder, 'interpreter.bin');
const harness = join(folder, 'harness');

if (compiler) {
  writeFileSync(blob, Buffer.from(interpreter.bytesBase64, 'base64'));
  const sources = globSync(join(import.meta.dirname, 'test', '*.{c,S}'));
  const flags = ['-std=c17', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread', '-o', harness];
  const compiled = spawnSync('cc', [...flags, ...sources], { encoding: 'utf8' });
  assert.equal(compiled.status, 0, compiled.stderr);
}

for (const [name, promise] of CASES) {
  test(promise, { skip }, () => {
    const args = [blob, `${interpreter.rawSyscall}`, `${interpreter.spawn}`, name];
    const { status, signal, stderr } = spawnSync(harness, args, { encoding: 'utf8' });
    assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' });
  });
}
