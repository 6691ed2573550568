// Programs that forbid what a dump wants to do in them: refused by name, and they go on as if nobody had asked.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { dumpTask, startEngine } from '../../../test/victims/engine-process.ts';
import { foreignMappings, identities, mustBeWell, nextLine } from '../../../test/victims/health.ts';
import { type Ordeal, through } from '../../../test/victims/ordeals.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

const base = mkdtempSync(join(tmpdir(), 'diapause-forbids-'));
after(() => rmSync(base, { recursive: true, force: true }));

const nextReport = (victim: Victim): Promise<string> =>
  nextLine(victim, /^report/, () => victim.signal('SIGUSR1'));

const FORBIDS = [
  ['dispatch', 'SyscallUserDispatch'],
  ['lock', 'MemoryLockLimit'],
] as const;

const ORDEALS: readonly Ordeal[] = ['dumped', 'dumped and restored', 'dumped twice and restored'];

describe('a program that may have no memory that is both writable and executable', () => {
  for (const ordeal of ORDEALS) {
    test(ordeal, async (t) => {
      using victim = await startVictim(buildVictim('forbids'), ['write-execute']);
      const ready = /^ready (-?\d+) (.*)$/m.exec(victim.output());
      if (Number(ready?.[1]) < 0) return t.skip(`not possible here: ${ready?.[2]}`);
      await mustBeWell(victim);
      using survivor = await through(victim, ordeal);
      assert.deepEqual(survivor.findings, []);
      await mustBeWell(survivor.victim);
      assert.match(await nextReport(survivor.victim), /^report \d+ wrong 0 /);
      assert.deepEqual(foreignMappings(survivor.victim.pid), []);
    });
  }
});

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
