// What a snapshot leaves behind in an application that cannot be stopped just then, or whose stopped thread makes trouble.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { mustBeWell, tasksOf } from '../../../test/victims/health.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';
import { childPids } from '../linux/procfs/children.ts';
import { readStat, readStatus, STAT } from '../linux/procfs/status.ts';
import { waitFor } from '../tracee/deadline.ts';
import { TracedThread } from '../tracee/traced-thread.ts';
import { Tracer } from '../tracee/tracer.ts';
import { isDeadSnapshot, reapInParent } from './reap.ts';
import { Session } from './testing/session.ts';

const imagesDir = (): string => mkdtempSync(join(tmpdir(), 'diapause-images-'));

test('the end of a snapshot waits for a parent whom nobody can stop', async () => {
  using victim = await startVictim(buildVictim('vforking'));
  await victim.waitForLine(/^ready$/);
  const dir = imagesDir();
  const session = new Session(victim.pid, dir);
  session.snapshot();
  session.letGo();
  victim.signal('SIGUSR1');
  waitFor('vfork', 5000, () => readStatus(victim.pid).state === 'D' || undefined);
  assert.equal(session.discard(), 'reaped');
  await victim.waitForLine(/^back 1$/);
  rmSync(dir, { recursive: true });
});

test('a thread that stops too late runs on, and is traced no longer', async () => {
  using victim = await startVictim(buildVictim('vforking'), ['told']);
  victim.signal('SIGUSR1');
  waitFor('vfork', 5000, () => readStatus(victim.pid).state === 'D' || undefined);
  const [childPid] = childPids(victim.pid);
  assert.ok(childPid);
  const tracer = new Tracer();
  // The thread of somebody who has got an orphan is asked to stop whatever it does.
  const reaped = reapInParent(tracer, {
    parentPid: victim.pid,
    parentStartTime: readStat(victim.pid)(STAT.startTime),
    childPid,
    childNsPid: childPid,
    isOrphan: true,
  });
  assert.equal(reaped, 'zombie');
  tracer.lateStops.wait(1);
  assert.equal(readStatus(victim.pid).state, 'D');
  process.kill(childPid, 'SIGUSR2');
  tracer.lateStops.wait(20_000);
  assert.equal(readStatus(victim.pid).tracerPid, 0);
  await victim.waitForLine(/^back 1$/);
});

test('a thread that was stopped for a call runs on when it cannot be prepared for it', async (t) => {
  using victim = await startVictim(buildVictim('steady'), ['plain']);
  await mustBeWell(victim);
  const dir = imagesDir();
  const session = new Session(victim.pid, dir);
  session.snapshot();
  session.letGo();
  const unreadable = t.mock.getter(TracedThread.prototype, 'currentCall', () => {
    throw new Error('its registers cannot be read');
  });
  assert.throws(() => session.discard(), /cannot be read/);
  unreadable.mock.restore();
  const traced = tasksOf(victim.pid).filter(({ tracer }) => tracer !== 0);
  assert.ok(traced.every(({ pid }) => isDeadSnapshot(pid)));
  assert.equal(session.discard(), 'reaped');
  await mustBeWell(victim);
  rmSync(dir, { recursive: true });
});
