// Kernels before 6.3 do not tell what is registered: the test process asks itself both ways.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SYS } from '../arch/x86-64.ts';
import { syscall } from '../linux/ffi.ts';
import type { RemoteWord } from '../tracee/remote-word.ts';
import { RemoteResult } from '../tracee/remote-word.ts';
import { askRegistrations } from './membarrier.ts';

const REGISTER_GLOBAL = 1 << 2;
const REGISTER_PRIVATE = 1 << 4;
const REGISTER_CORE = 1 << 6;

/** Answers at once, from this process. */
const self = {
  call(nr: number, ...args: RemoteWord[]): RemoteResult {
    const [command] = args;
    return new RemoteResult(nr, 0, { value: BigInt(syscall(nr, Number(command), 0, 0)) });
  },
};

test('trying each command finds what is registered', () => {
  assert.equal(askRegistrations(self, false)(), REGISTER_GLOBAL);
  assert.equal(syscall(SYS.membarrier, REGISTER_PRIVATE, 0, 0), 0);
  assert.equal(askRegistrations(self, false)(), REGISTER_GLOBAL | REGISTER_PRIVATE);
  assert.equal(syscall(SYS.membarrier, REGISTER_CORE, 0, 0), 0);
  assert.equal(askRegistrations(self, false)(), REGISTER_GLOBAL | REGISTER_PRIVATE | REGISTER_CORE);
});

test('a kernel that tells is asked once', (t) => {
  const told = askRegistrations(self, true)();
  if (told === 0) return t.skip('this kernel does not tell (before Linux 6.3)');
  assert.equal(told, REGISTER_PRIVATE | REGISTER_CORE);
});
