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

interface Amounts {
  readonly threads?: number;
  readonly processes?: number;
  readonly files?: number;
  readonly sockets?: number;
}

/** Calls from the first stop of the new root to the last detach, of one restore of the victim `load`. */
async function callsOf(amounts: Amounts): Promise<number> {
  const { threads = FEW_THREADS, processes = 1, files = 0, sockets = 0 } = amounts;
  const args = [1, threads, processes, files, sockets].map(String);
  using victim = await startVictim(buildVictim('load'), args);
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
const DESCRIPTORS = 500;

test('system calls of a restore for each thread and each process', async (t) => {
  const few = await callsOf({});
  const threads = ((await callsOf({ threads: MANY_THREADS })) - few) / (MANY_THREADS - FEW_THREADS);
  const processes = ((await callsOf({ processes: MANY_PROCESSES })) - few) / (MANY_PROCESSES - 1);
  t.diagnostic(`${few} with ${FEW_THREADS} threads, ${threads} a thread, ${processes} a process`);
  assert.ok(threads <= 23, `${threads} calls for one more thread`);
  assert.ok(processes <= 262, `${processes} calls for one more process`);
});

test('system calls of a restore for each socket and each open file', async (t) => {
  const few = await callsOf({});
  const sockets = ((await callsOf({ sockets: DESCRIPTORS })) - few) / DESCRIPTORS;
  const files = ((await callsOf({ files: DESCRIPTORS })) - few) / DESCRIPTORS;
  t.diagnostic(`${sockets} a socket, ${files} a file`);
  // The process makes and opens them itself, by the hundred.
  assert.ok(sockets <= 0.2, `${sockets} calls for one more socket`);
  assert.ok(files <= 0.2, `${files} calls for one more file`);
});
