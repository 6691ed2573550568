import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { descriptorRoom } from '../../test/victims/descriptor-room.ts';
import { dumpTask } from '../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../test/victims/victim.ts';
import { HeldApplication } from './held-application.ts';
import { PreCopied } from './pre-copy.ts';
import { TreeDump } from './tree-dump.ts';
import { WriteTracking } from './write-tracking.ts';

enterPrivateNamespaces();

const FILES = 600;

test('room for the duplicates that a freeze makes is made before it', async () => {
  using folders = new DisposableStack();
  const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-room-'));
  folders.defer(() => rmSync(imagesDir, { recursive: true }));
  using victim = await startVictim(buildVictim('load'), ['1', '1', '1', String(FILES), '0']);
  const task = dumpTask(victim.pid, imagesDir);
  using application = HeldApplication.seize(task.trees);
  application.prepare();
  using preCopied = new PreCopied();
  using tracking = WriteTracking.begin(application, task, preCopied);
  assert.ok(descriptorRoom('self') < FILES);
  using _dump = TreeDump.prepare(task.trees[0]!, { application, task, tracking, preCopied });
  assert.ok(descriptorRoom('self') > FILES);
});
