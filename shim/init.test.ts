// The committed init, run for real: as a program, and as PID 1 of throw-away pid namespaces.
import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { after, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { init } from './shim.generated.ts';

const LIMIT_MILLIS = 20_000;
const POLL_MILLIS = 5;
const SYS_FLOCK = '73';
// nanosleep or clock_nanosleep, in /proc/<pid>/syscall
const SLEEPING = /^(35|230) /;

const folder = mkdtempSync(join(tmpdir(), 'init-'));
after(() => rmSync(folder, { recursive: true }));
const bytes = Buffer.from(init.bytesBase64, 'base64');
const program = join(folder, 'diapause-init');
writeFileSync(program, bytes);
chmodSync(program, 0o555);

const namespaces = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0;
const skip = namespaces ? false : 'no right to make pid and mount namespaces here (needs root)';

/** Polls until the answer is not undefined. */
async function waitFor<T>(what: string, ask: () => T | undefined): Promise<T> {
  const end = performance.now() + LIMIT_MILLIS;
  for (;;) {
    const answer = ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`waited ${LIMIT_MILLIS} ms in vain for ${what}`);
    await sleep(POLL_MILLIS);
  }
}

function proc(pid: number, file: string): string {
  return readFileSync(`/proc/${pid}/${file}`, 'utf8').trim();
}

function status(pid: number, field: string): string {
  return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(proc(pid, 'status'))?.[1] ?? '';
}

function childrenOf(pid: number): number[] {
  return proc(pid, `task/${pid}/children`).split(' ').filter(Boolean).map(Number);
}

// Whatever started the tests may have left descriptors open in all of us: compare, never count.
function descriptors(pid: number | undefined): string[] {
  return readdirSync(`/proc/${pid}/fd`);
}

interface PidNamespace {
  /** PID 1 of the namespace, as this process numbers it */
  readonly pid: number;
  /** its parent, which ends as PID 1 does */
  readonly outside: ChildProcess & { readonly stdin: Writable; readonly stdout: Readable };
}

/** Starts the init as PID 1. It dies with the test. */
async function startPid1(t: TestContext, ...args: readonly string[]): Promise<PidNamespace> {
  const options = ['--pid', '--fork', '--kill-child', '--mount-proc', program, ...args];
  const outside = spawn('unshare', options, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => outside.kill('SIGKILL'));
  const parent = outside.pid;
  assert.ok(parent !== undefined && parent > 1);
  const pid = await waitFor('PID 1', () => {
    const child = childrenOf(parent)[0];
    return child !== undefined && readlinkSync(`/proc/${child}/exe`) === program
      ? child
      : undefined;
  });
  assert.ok(pid > 1);
  assert.match(status(pid, 'NSpid'), /\t1$/);
  return { pid, outside };
}

/** Starts it without arguments and waits until it listens to signals. */
async function startWaiting(t: TestContext): Promise<PidNamespace> {
  const namespace = await startPid1(t);
  const { pid } = namespace;
  await waitFor('its name', () => proc(pid, 'comm') === 'diapause-init' || undefined);
  return namespace;
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

/** What a command inside the namespaces of PID 1 answers. */
function inside({ pid }: PidNamespace, ...command: readonly string[]) {
  return spawnSync('nsenter', ['--target', `${pid}`, '--pid', '--mount', ...command], {
    encoding: 'utf8',
  });
}

test('version says what it is', () => {
  const { status, stdout } = spawnSync(program, ['version'], { encoding: 'utf8' });
  assert.deepEqual([status, stdout], [0, 'diapause-init 1\n']);
});

test('an unknown mode is refused with one line', () => {
  for (const args of [['frobnicate'], ['install'], ['install', 'a', 'b'], ['checks'], ['']]) {
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, /^diapause-init: usage: [^\n]+\n$/);
  }
});

test('install copies the program, also over an older one', () => {
  const path = join(folder, 'installed');
  writeFileSync(path, 'older');
  writeFileSync(`${path}~`, 'left over by a copy that was killed', { mode: 0o444 });
  assert.equal(spawnSync(program, ['install', path]).status, 0);
  assert.deepEqual(readFileSync(path), bytes);
  assert.equal(statSync(path).mode & 0o7777, 0o555);
  assert.ok(!readdirSync(folder).includes('installed~'));
  assert.equal(spawnSync(path, ['version']).status, 0);
});

test('install says why it cannot, and leaves nothing behind', () => {
  const { errno } = constants;
  const place = join(folder, 'place');
  mkdirSync(place);
  const cases = [
    [join(folder, 'missing', 'init'), errno.ENOENT],
    [place, errno.EISDIR],
    [`/${'x'.repeat(600)}`, errno.ENAMETOOLONG],
  ] as const;
  for (const [path, expected] of cases) {
    const { status, stderr } = spawnSync(program, ['install', path], { encoding: 'utf8' });
    assert.equal(status, expected);
    assert.match(stderr, /^diapause-init: cannot install[^\n]+\n$/);
  }
  assert.ok(!readdirSync(folder).includes('place~'));
});

test('stand resets ignored signals, opens nothing, keeps the session and dies of SIGTERM', async (t) => {
  const script = `trap '' INT PIPE USR1; exec ${program} stand`;
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'ignore', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const { pid } = child;
  assert.ok(pid !== undefined && pid > 1);
  await waitFor('the program', () => proc(pid, 'comm') === 'diapause-init' || undefined);
  await waitFor('default signals', () => /^0+$/.test(status(pid, 'SigIgn')) || undefined);
  assert.match(status(pid, 'SigBlk'), /^0+$/);
  assert.match(status(pid, 'SigCgt'), /^0+$/);
  const other = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'inherit'] });
  t.after(() => other.kill('SIGKILL'));
  await waitFor('a sleep', () => SLEEPING.test(proc(other.pid!, 'syscall')) || undefined);
  assert.deepEqual(descriptors(pid), descriptors(other.pid));
  const session = (of: number) => proc(of, 'stat').replace(/.*\) /s, '').split(' ')[3];
  assert.equal(session(pid), session(process.pid));
  child.kill('SIGTERM');
  await exitCode(child);
  assert.equal(child.signalCode, 'SIGTERM');
});

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const) {
  test(`PID 1 ends with ${code} on ${signal}`, { skip }, async (t) => {
    const { pid, outside } = await startWaiting(t);
    assert.deepEqual(descriptors(pid), descriptors(outside.pid));
    process.kill(pid, signal);
    assert.equal(await exitCode(outside), code);
  });
}

test('PID 1 reaps orphans', { skip }, async (t) => {
  const { pid } = await startWaiting(t);
  const orphans = 'for i in 1 2 3; do cat <&3 >/dev/null & done';
  const args = ['--target', `${pid}`, '--pid', 'sh', '-c', orphans];
  const shell = spawn('nsenter', args, { stdio: ['ignore', 'ignore', 'inherit', 'pipe'] });
  assert.equal(await exitCode(shell), 0);
  await waitFor('three orphans', () => childrenOf(pid).length === 3 || undefined);
  // All of them die while PID 1 cannot look, so that it gets one SIGCHLD for three children.
  process.kill(pid, 'SIGSTOP');
  const lifeline = shell.stdio[3] as Writable;
  lifeline.end();
  const isZombie = (child: number) => status(child, 'State').startsWith('Z');
  await waitFor('their death', () => childrenOf(pid).every(isZombie) || undefined);
  process.kill(pid, 'SIGCONT');
  await waitFor('their end', () => childrenOf(pid).length === 0 || undefined);
});

test('PID 1 stays until the last user has let go of its executable', { skip }, async (t) => {
  const user = spawn('flock', ['--shared', program, '-c', 'echo held; read -r _'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => user.stdin.end());
  await once(user.stdout, 'data');
  const { pid, outside } = await startWaiting(t);
  process.kill(pid, 'SIGTERM');
  await waitFor('the lock', () => proc(pid, 'syscall').startsWith(`${SYS_FLOCK} `) || undefined);
  process.kill(pid, 'SIGTERM');
  process.kill(pid, 'SIGINT');
  assert.ok(
    proc(pid, 'syscall').startsWith(`${SYS_FLOCK} `),
    'further signals do not cut it short',
  );
  user.stdin.end();
  assert.equal(await exitCode(outside), 143);
});

test('check tells the placeholder from the application', { skip }, async (t) => {
  const placeholder = await startWaiting(t);
  assert.equal(inside(placeholder, program, 'check').status, 1);
  // As PID 1 of an application that runs it: the shell stays because it has more to do.
  const script = `${program} check; echo $?`;
  const options = ['--pid', '--fork', '--mount-proc', 'sh', '-c', script];
  assert.equal(spawnSync('unshare', options, { encoding: 'utf8' }).stdout, '0\n');
});

test('check does not take an unreadable /proc for a start', { skip }, () => {
  const hidden = ['--mount', 'sh', '-c', `mount -t tmpfs none /proc && ${program} check; echo $?`];
  assert.equal(spawnSync('unshare', hidden, { encoding: 'utf8' }).stdout, '1\n');
});

test('last-pid sets the next pid of its own namespace, again and again', { skip }, async (t) => {
  const namespace = await startPid1(t, 'last-pid');
  const { stdin, stdout } = namespace.outside;
  const ask = async (number: bigint): Promise<bigint> => {
    const request = Buffer.alloc(8);
    request.writeBigInt64LE(number);
    stdin.write(request);
    const answer = await waitFor('an answer', () => (stdout.read(8) as Buffer | null) ?? undefined);
    return answer.readBigInt64LE();
  };
  for (const last of [500n, 20_000n, 77n]) {
    assert.equal(await ask(last), 0n);
    assert.equal(inside(namespace, 'sh', '-c', 'echo $$').stdout, `${last + 1n}\n`);
  }
  assert.equal(await ask(-5n), BigInt(-constants.errno.EINVAL));
  assert.equal(await ask(900n), 0n);
  assert.equal(inside(namespace, 'sh', '-c', 'echo $$').stdout, '901\n');
  const inherited = descriptors(namespace.outside.pid);
  assert.equal(descriptors(namespace.pid).length, inherited.length + 1, 'one file stays open');
  stdin.end();
  assert.equal(await exitCode(namespace.outside), 0);
});
