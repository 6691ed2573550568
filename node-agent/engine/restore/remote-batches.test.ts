// How often a restore lets the restored process work: each time costs as much as hundreds of calls in one batch.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, mock, test } from 'node:test';
import { dumpTask, startEngine } from '../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';
import { SIGNAL, sendSignal } from '../linux/signals.ts';
import { poll } from '../linux/wait.ts';
import { Reporter } from '../reporter.ts';
import { restore } from '../restore.ts';
import { waitFor } from '../tracee/deadline.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';

enterPrivateNamespaces();

const base = mkdtempSync(join(tmpdir(), 'diapause-batches-'));
after(() => rmSync(base, { recursive: true, force: true }));

async function batchesOf(files: number, sockets: number): Promise<number> {
  const imagesDir = mkdtempSync(join(base, 'images-'));
  const args = [1, 1, 1, files, sockets].map(String);
  using victim = await startVictim(buildVictim('load'), args);
  const task = dumpTask(victim.pid, imagesDir, { afterDump: 'Kill' });
  const { status, failure } = await startEngine(task).ended;
  assert.equal(status, 0, JSON.stringify(failure));
  const start = mock.method(RemoteBatch.prototype, 'start');
  try {
    const trees = [{ name: 'victim', imagesDir }];
    const { rootPids } = restore(
      { type: 'restore', trees, leaveStopped: true },
      new Reporter(() => {}),
    );
    for (const pid of rootPids) {
      sendSignal(pid, SIGNAL.SIGKILL);
      waitFor('the end of the restored program', 2000, () => poll(pid));
    }
    return start.mock.callCount();
  } finally {
    start.mock.restore();
  }
}

test('files and sockets are restored by the hundred', async (t) => {
  const few = await batchesOf(10, 10);
  const files = (await batchesOf(510, 10)) - few;
  const sockets = (await batchesOf(10, 510)) - few;
  t.diagnostic(`${few} batches, ${files} more for 500 files, ${sockets} more for 500 sockets`);
  assert.ok(few > 5);
  assert.ok(files <= 5, `${files} batches for 500 files`);
  assert.ok(sockets <= 5, `${sockets} batches for 500 sockets`);
});
