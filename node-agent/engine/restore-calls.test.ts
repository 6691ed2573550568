// How many system calls the engine makes while it rebuilds processes: no machine changes that, so a change that makes restores
// longer is seen here. Whoever makes it shorter lowers the numbers.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { dumpTask, startEngine } from '../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, watch } from '../../test/victims/victim.ts';

enterPrivateNamespaces();

const base = mkdtempSync(join(tmpdir(), 'diapause-calls-'));
after(() => rmSync(base, { recursive: true, force: true }));

/** Calls from the first stop of the new root to the last detach, of one restore of `load MEBIBYTES THREADS PROCESSES`. */
async function callsOf(threads: number, processes: number): Promise<number> {
  using victim = await startVictim(buildVictim('load'), ['1', String(threads), String(processes)]);
  const imagesDir = mkdtempSync(join(base, 'images-'));
  const dumped = await startEngine(dumpTask(victim.pid, imagesDir, { afterDump: 'Kill' })).ended;
  assert.equal(dumped.status, 0, JSON.stringify(dumped.failure));
  const trees = [{ name: 'victim', imagesDir }];
  const wrapper = [buildVictim('freeze-calls')];
  const task = { type: 'restore', trees, leaveStopped: false } as const;
  const { status, failure, stderr } = await startEngine(task, { wrapper }).ended;
  assert.equal(status, 0, `${JSON.stringify(failure)}\n${stderr}`);
  using restored = watch(victim.pid, victim.dir, join(victim.dir, 'out'));
  restored.signal('SIGUSR2');
  assert.equal(await restored.waitForLine(/^checksum/), 'checksum same');
  const counted = /^calls (\d+) ptrace (\d+)$/m.exec(stderr);
  assert.ok(counted, stderr);
  assert.ok(Number(counted[2]) > threads, 'every thread is built and let go');
  return Number(counted[1]);
}

/** The others wait for ever, each in the same call: only their number differs. */
const FEW_THREADS = 10;
const MANY_THREADS = 60;
const MANY_PROCESSES = 41;

test('system calls of a restore for each thread and each process', async (t) => {
  const few = await callsOf(FEW_THREADS, 1);
  const threads = ((await callsOf(MANY_THREADS, 1)) - few) / (MANY_THREADS - FEW_THREADS);
  const processes = ((await callsOf(FEW_THREADS, MANY_PROCESSES)) - few) / (MANY_PROCESSES - 1);
  t.diagnostic(`${few} with ${FEW_THREADS} threads, ${threads} a thread, ${processes} a process`);
  assert.ok(threads <= 23, `${threads} calls for one more thread`);
  assert.ok(processes <= 262, `${processes} calls for one more process`);
});
