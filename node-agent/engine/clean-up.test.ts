// What a killed engine leaves in an application, and its being taken away.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { dumpTask, type EngineEnd, startEngine } from '../../test/victims/engine-process.ts';
import { foreignMappings, identities, mustBeWell } from '../../test/victims/health.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../test/victims/victim.ts';
import type { DumpStage } from './protocol.ts';

enterPrivateNamespaces();

const base = mkdtempSync(join(tmpdir(), 'diapause-clean-up-'));
after(() => rmSync(base, { recursive: true, force: true }));

async function dumpKilledAt(stage: DumpStage, { pid }: Victim): Promise<EngineEnd> {
  const task = dumpTask(pid, mkdtempSync(join(base, 'images-')));
  return await startEngine(task, {
    onEvent: (event, engine) => {
      if (event.event === 'stage' && event.stage === stage) engine.kill();
    },
  }).ended;
}

const cleanUp = async ({ pid }: Victim): Promise<EngineEnd> =>
  await startEngine({
    type: 'clean-up',
    trees: [{ name: 'victim', rootPid: pid }],
    freezeLimitMillis: 0,
  }).ended;

const zombies = ({ pid }: Victim): string[] =>
  identities(pid).filter((identity) => identity.includes('zombie'));

describe('what a killed engine left', () => {
  for (const [program, args, stopped] of [
    ['steady', ['plain'], 0],
    ['tree', [], 1],
  ] as const) {
    test(`is taken away: ${program}`, async () => {
      using victim = await startVictim(buildVictim(program), [...args]);
      await mustBeWell(victim, stopped);
      const before = identities(victim.pid);
      const own = zombies(victim);
      let removed = 0;
      for (const stage of ['frozen', 'thawed', 'saving-pages'] as const) {
        // It may have been faster than we.
        await dumpKilledAt(stage, victim);
        const { cleanedUp, failure, stderr } = await cleanUp(victim);
        assert.ok(cleanedUp, `at ${stage}: ${JSON.stringify(failure)} ${stderr}`);
        // A process that is stopped by a signal finds its way out of the interpreter when it is continued.
        assert.ok(cleanedUp.left <= stopped, `at ${stage}: ${cleanedUp.left} left`);
        removed += cleanedUp.removed;
        assert.deepEqual(zombies(victim), own, `at ${stage}`);
        assert.deepEqual(foreignMappings(victim.pid), [], `at ${stage}`);
        await mustBeWell(victim, stopped);
      }
      assert.ok(removed > 0, 'there was something to take away');
      if (stopped === 0) assert.deepEqual(identities(victim.pid), before);
    });
  }

  test('is nothing: the application is not stopped', async () => {
    using victim = await startVictim(buildVictim('steady'), ['plain']);
    const { cleanedUp } = await cleanUp(victim);
    assert.deepEqual(cleanedUp, { removed: 0, left: 0, freezeMillis: 0 });
    await mustBeWell(victim);
  });
});
