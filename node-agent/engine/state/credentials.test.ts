// Rights of processes that are restored into a placeholder: each its own, and never more than the placeholder has.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  type Contained,
  startContained,
  startPlaceholder,
} from '../../../test/victims/confined.ts';
import { dumpTask, type EngineEnd, startEngine } from '../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

async function saved(contained: Contained, t: TestContext): Promise<string> {
  const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
  t.after(() => rmSync(imagesDir, { recursive: true, force: true }));
  const task = dumpTask(contained.victim.pid, imagesDir, { afterDump: 'Kill' });
  const { result, failure } = await startEngine(task).ended;
  assert.ok(result, JSON.stringify(failure));
  return imagesDir;
}

const restore = async (imagesDir: string, placeholderPid: number): Promise<EngineEnd> =>
  await startEngine({
    type: 'restore',
    trees: [{ name: 'victim', imagesDir, placeholderPid }],
    leaveStopped: false,
  }).ended;

test('children that gave up their rights have not got them back', async (t) => {
  const contained = await startContained(buildVictim('drops'));
  using _victim = contained.victim;
  const imagesDir = await saved(contained, t);
  using placeholder = await startPlaceholder(contained, 'all');
  const { restored, failure } = await restore(imagesDir, placeholder.pid);
  assert.ok(restored, JSON.stringify(failure));
  placeholder.signal('SIGTERM');
  await placeholder.waitForLine(/^(PASS|FAIL \d+|SETUP.*)$/);
  assert.doesNotMatch(placeholder.output(), /FAIL|SETUP/);
});

test('a placeholder that cannot give itself the rights is left alone', async (t) => {
  const contained = await startContained(buildVictim('drops'));
  using _victim = contained.victim;
  const imagesDir = await saved(contained, t);
  using placeholder = await startPlaceholder(contained, 'none');
  const { failure } = await restore(imagesDir, placeholder.pid);
  const refused = failure?.findings?.filter(({ severity }) => severity === 'refusal') ?? [];
  assert.deepEqual([...new Set(refused.map(({ code }) => code))], ['CredentialsOutOfReach']);
  assert.match(refused[0]?.object ?? '', /users 0 0 0 0 without CAP_SETUID/);
  assert.ok(placeholder.alive());
});
