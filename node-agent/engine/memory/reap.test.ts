// What a snapshot leaves behind in an application that cannot be stopped just then.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';
import { readStatus } from '../linux/procfs/status.ts';
import { waitFor } from '../tracee/deadline.ts';
import { Session } from './testing/session.ts';

test('the end of a snapshot waits for a parent whom nobody can stop', async () => {
  using victim = await startVictim(buildVictim('vforking'));
  await victim.waitForLine(/^ready$/);
  const dir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
  const session = new Session(victim.pid, dir);
  session.snapshot();
  session.letGo();
  victim.signal('SIGUSR1');
  waitFor('vfork', 5000, () => readStatus(victim.pid).state === 'D' || undefined);
  assert.equal(session.discard(), 'reaped');
  await victim.waitForLine(/^back 1$/);
  rmSync(dir, { recursive: true });
});
