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

interface Amounts {
  readonly threads?: number;
  readonly processes?: number;
  readonly files?: number;
  readonly sockets?: number;
}

/** The others wait for ever, each in the same call: only their number differs. */
const FEW_THREADS = 10;
const MANY_THREADS = 60;
const MANY_PROCESSES = 11;
const DESCRIPTORS = 200;

/** Calls between the first stop and the last detach of one dump of the victim `load`. */
async function callsOf(amounts: Amounts): Promise<number> {
  const { threads = FEW_THREADS, processes = 1, files = 0, sockets = 0 } = amounts;
  const args = [1, threads, processes, files, sockets].map(String);
  using victim = await startVictim(buildVictim('load'), args);
  const task = dumpTask(victim.pid, mkdtempSync(join(base, 'images-')));
  const wrapper = [buildVictim('freeze-calls')];
  const { status, failure, stderr } = await startEngine(task, { wrapper }).ended;
  assert.equal(status, 0, `${JSON.stringify(failure)}\n${stderr}`);
  const counted = /^calls (\d+) ptrace (\d+)$/m.exec(stderr);
  assert.ok(counted, stderr);
  assert.ok(Number(counted[2]) > threads, 'every thread is stopped and let go');
  return Number(counted[1]);
}

test('system calls of a freeze for each thread and each process', async (t) => {
  const few = await callsOf({});
  const threads = ((await callsOf({ threads: MANY_THREADS })) - few) / (MANY_THREADS - FEW_THREADS);
  const processes = ((await callsOf({ processes: MANY_PROCESSES })) - few) / (MANY_PROCESSES - 1);
  t.diagnostic(`${few} with ${FEW_THREADS} threads, ${threads} a thread, ${processes} a process`);
  assert.ok(threads <= 28, `${threads} calls for one more thread`);
  assert.ok(processes <= 163, `${processes} calls for one more process`);
});

test('system calls of a freeze for each socket and each open file', async (t) => {
  const few = await callsOf({});
  const sockets = ((await callsOf({ sockets: DESCRIPTORS })) - few) / DESCRIPTORS;
  const files = ((await callsOf({ files: DESCRIPTORS })) - few) / DESCRIPTORS;
  t.diagnostic(`${sockets} a socket, ${files} a file`);
  // Of a socket 30 are options; of a file log2(DESCRIPTORS) tell it from the others of the same name (kcmp).
  assert.ok(sockets <= 40, `${sockets} calls for one more socket`);
  assert.ok(files <= 16, `${files} calls for one more file`);
});
