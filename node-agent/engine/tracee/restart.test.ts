// The kernel's restart rules as a table.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REG, REGISTER_WORDS, type Registers, SYS, signed, unsigned } from '../arch/x86-64.ts';
import {
  askKernelToRestart,
  interruption,
  RESTART,
  resumableElsewhere,
  resumableInPlace,
} from './restart.ts';
import { restartedCall } from './seen-call.ts';

const IP = 0x401002n;

function stopped(call: number, ax: bigint): Registers {
  const registers = new BigUint64Array(REGISTER_WORDS);
  registers[REG.origRax] = unsigned(call);
  registers[REG.rax] = unsigned(ax);
  registers[REG.rip] = IP;
  return registers;
}

const picture = (r: Registers) => ({
  ax: signed(r[REG.rax]!),
  orig: signed(r[REG.origRax]!),
  ip: r[REG.rip]! - IP,
});

test('outside of a system call nothing is an interruption', () => {
  assert.deepEqual(interruption(stopped(-1, -512n)), { kind: 'none' });
  assert.deepEqual(picture(resumableElsewhere(stopped(-1, -512n))), {
    ax: -512n,
    orig: -1n,
    ip: 0n,
  });
});

for (const code of [RESTART.ERESTARTSYS, RESTART.ERESTARTNOINTR, RESTART.ERESTARTNOHAND]) {
  test(`${code}: the instruction is executed again, here and elsewhere`, () => {
    const registers = stopped(SYS.read, code);
    assert.equal(interruption(registers).kind, 'restart');
    const again = { ax: BigInt(SYS.read), orig: -1n, ip: -2n };
    assert.deepEqual(picture(resumableInPlace(registers)), again);
    assert.deepEqual(picture(resumableElsewhere(registers)), again);
  });
}

test('a call with a restart block is made again in place, and ends with EINTR elsewhere', () => {
  const registers = stopped(SYS.nanosleep, RESTART.ERESTART_RESTARTBLOCK);
  assert.deepEqual(interruption(registers), { kind: 'restart-block', call: SYS.nanosleep });
  assert.deepEqual(picture(resumableInPlace(registers)), {
    ax: BigInt(SYS.nanosleep),
    orig: -1n,
    ip: -2n,
  });
  assert.equal(picture(resumableElsewhere(registers)).ax, -4n);
});

test('calls that answer EINTR by themselves are told from an honest EINTR', () => {
  assert.equal(interruption(stopped(SYS.epoll_wait, -4n)).kind, 'plain-eintr');
  assert.equal(interruption(stopped(SYS.nanosleep, -4n)).kind, 'none');
  assert.equal(interruption(stopped(SYS.epoll_wait, 3n)).kind, 'none');
  assert.deepEqual(picture(askKernelToRestart(stopped(SYS.epoll_wait, -4n))), {
    ax: RESTART.ERESTARTNOHAND,
    orig: BigInt(SYS.epoll_wait),
    ip: 0n,
  });
});

test('the given registers are never changed', () => {
  const registers = stopped(SYS.read, RESTART.ERESTARTSYS);
  const before = BigUint64Array.from(registers);
  resumableInPlace(registers);
  resumableElsewhere(registers);
  askKernelToRestart(registers);
  assert.deepEqual(registers, before);
});

test('what restart_syscall goes on with stands on the stack of the kernel, or is a sleep', () => {
  const stack = (...names: string[]): string =>
    [...names, 'do_syscall_64'].map((name) => `[<0>] ${name}+0x71/0x280\n`).join('');
  const cases: readonly [string, number, number | undefined][] = [
    [stack('futex_wait', 'futex_wait_restart'), 0x7f00_0000, SYS.futex],
    [stack('do_sys_poll', 'do_restart_poll'), 0x7f00_0000, SYS.poll],
    [stack(), 0x7f00_0000, SYS.nanosleep],
    [stack(), 1, SYS.clock_nanosleep],
    // A kernel that shows no stacks.
    ['', 1, undefined],
  ];
  for (const [text, first, call] of cases) assert.equal(restartedCall(text, first), call, text);
});
