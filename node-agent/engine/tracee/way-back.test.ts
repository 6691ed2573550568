// The engine dies at the worst moment, inside a bootstrap call: the application must find back by itself.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';
import { readMemory } from '../linux/process-memory.ts';
import { readMaps } from '../linux/procfs/maps.ts';
import { confirmWayBack, isStillThere, likelyWayBack } from './way-back.ts';

/** An engine that ends itself by SIGKILL at the entry or the exit of the remote mmap. */
const DYING_ENGINE = `
import { Tracer } from '${new URL('./tracer.ts', import.meta.url).href}';
import { readMaps } from '${new URL('../linux/procfs/maps.ts', import.meta.url).href}';
import { findWayBack, armWayBack } from '${new URL('./way-back.ts', import.meta.url).href}';
import * as ptrace from '${new URL('../linux/ptrace.ts', import.meta.url).href}';
import { poll } from '${new URL('../linux/wait.ts', import.meta.url).href}';
import { REG } from '${new URL('../arch/x86-64.ts', import.meta.url).href}';
const [pid, stops, place] = process.argv.slice(1).map(Number);
const tracer = new Tracer();
const victim = tracer.seizeTree(pid);
victim.wayBack = findWayBack(pid, readMaps(pid));
if (!victim.wayBack) throw new Error('no way back found');
tracer.freeze(1000);
const thread = [...victim.threads.values()].at(place);
thread.saveBeforeUse();
const registers = BigUint64Array.from(thread.registers);
const way = armWayBack(thread, victim.wayBack);
if (!way) throw new Error('no room on the stack');
[9n, 0n, 4096n, 3n, 0x22n, 0xffffffffffffffffn, 0n].forEach((word, i) => {
  registers[[REG.rax, REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9][i]] = word;
});
registers[REG.origRax] = 0xffffffffffffffffn;
registers[REG.rip] = way.rip;
registers[REG.rsp] = way.rsp;
ptrace.setSignalMask(thread.tid, 0xffffffffffffffffn);
ptrace.setRegisters(thread.tid, registers);
for (let n = 0; n < stops; n++) {
  ptrace.resumeToSyscall(thread.tid);
  while (!poll(thread.tid));
}
process.kill(process.pid, 'SIGKILL');
`;

/** The main stack is the kernel's, all others are the C library's. */
const THREADS = [
  { name: 'leader', place: 0 },
  { name: 'last thread', place: -1 },
] as const;

for (const [stops, { name, place }] of [0, 1, 2].flatMap((n) =>
  THREADS.map((t) => [n, t] as const),
)) {
  test(`the engine is killed after ${stops} of 2 stops of the remote mmap of the ${name}`, async () => {
    using victim = await startVictim(buildVictim('counter'));
    const engine = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', DYING_ENGINE, ...[victim.pid, stops, place].map(String)],
      { encoding: 'utf8' },
    );
    assert.equal(engine.signal, 'SIGKILL', engine.stderr);
    assert.ok(victim.alive());
    victim.signal('SIGUSR1');
    assert.match(await victim.waitForLine(/^count/), /checksum same/);
    victim.signal('SIGTERM');
  });
}

test('a way back that was found before exec is not taken afterwards', async () => {
  const child = spawn('sh', ['-c', 'read go; exec sleep 60'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const pid = child.pid!;
  try {
    const comm = (): string => readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
    await eventually(() => comm() === 'sh');
    const found = likelyWayBack(pid);
    assert.ok(found.wayBack);
    assert.deepEqual(confirmWayBack(pid, found), found.wayBack);
    child.stdin.write('\n');
    await eventually(() => comm() === 'sleep');
    assert.equal(isStillThere(found.wayBack, found.mappings, readMaps(pid)), false);
    const now = confirmWayBack(pid, found);
    assert.ok(now);
    assert.equal(readMemory(pid, now.syscallRet, 3).toString('hex'), '0f05c3');
  } finally {
    child.kill('SIGKILL');
  }
});

async function eventually(isSo: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end && !isSo(); ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
