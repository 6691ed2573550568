// How many system calls the engine makes while the application stands still: no machine changes that, so a change that makes
// freezes longer is seen here. Whoever makes it shorter lowers the numbers.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { dumpTask, startEngine } from '../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../test/victims/victim.ts';

enterPrivateNamespaces();

const base = mkdtempSync(join(tmpdir(), 'diapause-calls-'));
after(() => rmSync(base, { recursive: true, force: true }));

/** Calls between the first stop and the last detach of one dump of `load MEBIBYTES THREADS PROCESSES`. */
async function callsOf(threads: number, processes: number): Promise<number> {
  using victim = await startVictim(buildVictim('load'), ['1', String(threads), String(processes)]);
  const task = dumpTask(victim.pid, mkdtempSync(join(base, 'images-')));
  const wrapper = [buildVictim('freeze-calls')];
  const { status, failure, stderr } = await startEngine(task, { wrapper }).ended;
  assert.equal(status, 0, `${JSON.stringify(failure)}\n${stderr}`);
  const counted = /^calls (\d+) ptrace (\d+)$/m.exec(stderr);
  assert.ok(counted, stderr);
  assert.ok(Number(counted[2]) > threads, 'every thread is stopped and let go');
  return Number(counted[1]);
}

/** The others wait for ever, each in the same call: only their number differs. */
const FEW_THREADS = 10;
const MANY_THREADS = 60;
const MANY_PROCESSES = 11;

test('system calls of a freeze for each thread and each process', async (t) => {
  const few = await callsOf(FEW_THREADS, 1);
  const threads = ((await callsOf(MANY_THREADS, 1)) - few) / (MANY_THREADS - FEW_THREADS);
  const processes = ((await callsOf(FEW_THREADS, MANY_PROCESSES)) - few) / (MANY_PROCESSES - 1);
  t.diagnostic(`${few} with ${FEW_THREADS} threads, ${threads} a thread, ${processes} a process`);
  assert.ok(threads <= 31, `${threads} calls for one more thread`);
  assert.ok(processes <= 191, `${processes} calls for one more process`);
});
