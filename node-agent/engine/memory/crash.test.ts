// The engine is killed while it saves memory: the application goes on, and nothing of the engine lives on in it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';
import { childPids } from '../linux/procfs/children.ts';
import { readStatus } from '../linux/procfs/status.ts';
import { Session } from './testing/session.ts';

const doomed = fileURLToPath(new URL('./testing/doomed.ts', import.meta.url));
const facts = (line: string): string => line.replace(/^report \d+ wall \w+ /, '');

const STEPS = [
  'collected',
  'forked',
  'pumping out of the original',
  'snapshot taken',
  'thawed',
  'pumping out of the snapshot',
  'saved',
] as const;

for (const step of STEPS) {
  test(`killed: ${step}`, async () => {
    using victim = await startVictim(buildVictim('areas'));
    const before = facts(await victim.waitForLine(/^report 1 /));
    const fds = readdirSync(`/proc/${victim.pid}/fd`);
    const dir = mkdtempSync(join(tmpdir(), 'diapause-doomed-'));
    const { signal } = spawnSync(process.execPath, [doomed, String(victim.pid), dir, step]);
    assert.equal(signal, 'SIGKILL');
    victim.signal('SIGUSR1');
    assert.equal(facts(await victim.waitForLine(/^report 2 /)), before);
    assert.deepEqual(readdirSync(`/proc/${victim.pid}/fd`), fds);
    const living = childPids(victim.pid).filter((pid) => readStatus(pid).state !== 'Z');
    assert.deepEqual(living, [], 'no snapshot lives on');

    // The next session finds everything in order, and what is left of the snapshot goes.
    const session = new Session(victim.pid, mkdtempSync(join(dir, 'next-')));
    session.letGo();
    victim.signal('SIGUSR1');
    const after = await victim.waitForLine(/^report 3 /);
    assert.equal(facts(after), before);
    assert.match(after, /^report 3 wall none /);
    rmSync(dir, { recursive: true });
  });
}
