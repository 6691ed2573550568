// Borrowing a running program and giving it back: nothing it can see may change.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';
import { SYS } from '../arch/x86-64.ts';
import { settle } from './bootstrap-call.ts';
import { RemoteBatch } from './remote-batch.ts';
import { DUMP_LEADER, Resident, SMALL_SLOT } from './resident.ts';
import { Tracer } from './tracer.ts';

test('a batch runs in every thread and the program goes on', async () => {
  using victim = await startVictim(buildVictim('counter'));
  const tracer = new Tracer();
  const process = tracer.seizeTree(victim.pid);
  tracer.freeze(1000);
  assert.equal(process.threads.size, 5);
  Resident.map(process, { leader: DUMP_LEADER, thread: SMALL_SLOT, threads: 4 });
  const batches = process.orderedThreads.map((thread) => new RemoteBatch(thread));
  const asked = batches.map((b) => ({ tid: b.must(SYS.gettid), pid: b.must(SYS.getpid) }));
  for (const batch of batches) batch.start();
  for (const batch of batches) batch.finish();
  assert.deepEqual(
    asked.map((a) => a.tid.number),
    process.orderedThreads.map((t) => t.nsTid),
  );
  assert.ok(asked.every((a) => a.pid.number === process.nsPid));
  Resident.unmap(process);
  for (const thread of process.threads.values()) settle(thread);
  tracer.release(process);
  victim.signal('SIGTERM');
  assert.match(await victim.waitForLine(/^count/), /checksum same/);
});

test('29 kinds of blocking call never see the borrowing', async () => {
  using victim = await startVictim(buildVictim('restarts'), ['1500', 'sysv']);
  for (let round = 0; round < 5; round++) {
    const tracer = new Tracer();
    const process = tracer.seizeTree(victim.pid);
    tracer.freeze(1000);
    Resident.map(process, {
      leader: DUMP_LEADER,
      thread: SMALL_SLOT,
      threads: process.threads.size,
    });
    for (const thread of process.orderedThreads) {
      const batch = new RemoteBatch(thread);
      const tid = batch.must(SYS.gettid);
      batch.run();
      assert.equal(tid.number, thread.nsTid);
    }
    Resident.unmap(process);
    for (const thread of process.threads.values()) settle(thread);
    tracer.release(process);
  }
  await victim.waitForLine(/ok clock_nanosleep_absolute/);
  await new Promise((resolve) => setTimeout(resolve, 600));
  victim.signal('SIGUSR1');
  await new Promise((resolve) => setTimeout(resolve, 400));
  victim.signal('SIGTERM');
  const verdict = await victim.waitForLine(/^verdict/);
  assert.equal(verdict, 'verdict wrong 0 done 29 of 29', victim.output());
});
