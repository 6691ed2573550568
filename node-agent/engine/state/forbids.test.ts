// Programs that forbid what a dump wants to do in them: refused by name, and they go on as if nobody had asked.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { dumpTask, startEngine } from '../../../test/victims/engine-process.ts';
import { foreignMappings, identities, mustBeWell } from '../../../test/victims/health.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

const base = mkdtempSync(join(tmpdir(), 'diapause-forbids-'));
after(() => rmSync(base, { recursive: true, force: true }));

const FORBIDS = [
  ['write-execute', 'WriteExecuteDenied'],
  ['dispatch', 'SyscallUserDispatch'],
  ['lock', 'MemoryLockLimit'],
] as const;

describe('a program that forbids', () => {
  for (const [what, code] of FORBIDS) {
    test(what, async (t) => {
      using victim = await startVictim(buildVictim('forbids'), [what]);
      const ready = /^ready (-?\d+) (.*)$/m.exec(victim.output());
      if (Number(ready?.[1]) < 0) return t.skip(`not possible here: ${ready?.[2]}`);
      await mustBeWell(victim);
      const before = identities(victim.pid);
      for (const dryRun of [true, false]) {
        const imagesDir = mkdtempSync(join(base, 'images-'));
        const { failure } = await startEngine(dumpTask(victim.pid, imagesDir, { dryRun })).ended;
        const [finding] = failure?.findings ?? [];
        assert.deepEqual([failure?.code, finding?.code, finding?.pid], [code, code, victim.pid]);
        await mustBeWell(victim);
        assert.deepEqual(foreignMappings(victim.pid), []);
        assert.deepEqual(identities(victim.pid), before);
      }
    });
  }
});
