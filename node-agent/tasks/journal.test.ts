import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NodeTaskSpec } from '../../crds/node-task.ts';
import { Journal, type JournalRecord } from './journal.ts';
import { releaseLeftovers } from './recovery.ts';
import { FLOCK } from './testing/run-agent.ts';

const TASK: JournalRecord['task'] = {
  namespace: 'diapause-system',
  name: 'dump-1',
  uid: 'uid-1',
  spec: {} as NodeTaskSpec,
};

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'diapause-journal-'));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const never = (): never => assert.fail('no damaged record expected');

test('what is noted is found by the next agent; what is removed is not', () =>
  inFolder(async (folder) => {
    const first = await Journal.open({ folder, flockProgram: FLOCK, bootId: 'boot-1' });
    const entry = first.entry(TASK);
    await entry.begin();
    await entry.note('engine', { engine: { pid: 5, startTime: '7' }, freezerFiles: ['/f'] });
    await entry.note('saved');
    await first.close();
    const second = await Journal.open({ folder, flockProgram: FLOCK, bootId: 'boot-1' });
    const [record] = await second.records(never);
    assert.equal(record?.step, 'saved');
    assert.equal(record.attempt, 1);
    assert.deepEqual(record.facts.freezerFiles, ['/f'], 'facts of earlier steps stay');
    const again = second.entry(TASK, record);
    await again.begin();
    assert.equal(again.record.attempt, 2);
    await again.restart();
    assert.deepEqual(again.facts, {});
    await again.remove();
    assert.deepEqual(await second.records(never), []);
    await second.close();
  }));

test('half-written and damaged files do not keep an agent from starting', () =>
  inFolder(async (folder) => {
    const journal = await Journal.open({ folder, flockProgram: FLOCK });
    await journal.entry(TASK).begin();
    writeFileSync(join(folder, 'uid-2.json.tmp'), '{"version":1,"ta');
    writeFileSync(join(folder, 'uid-3.json'), 'nonsense');
    writeFileSync(join(folder, 'uid-4.json'), '{"version":99}');
    const damaged: string[] = [];
    const records = await journal.records((file) => damaged.push(file));
    assert.deepEqual(
      records.map(({ task }) => task.uid),
      ['uid-1'],
    );
    assert.equal(damaged.length, 2);
    assert.ok(!readdirSync(folder).includes('uid-2.json.tmp'));
    await journal.close();
  }));

test('what another boot left is not looked for among the processes of this one', () => {
  const record: JournalRecord = {
    version: 1,
    task: TASK,
    attempt: 1,
    bootId: 'boot-1',
    step: 'engine',
    facts: { engine: { pid: process.pid, startTime: 'not ours' }, freezerFiles: [] },
  };
  assert.deepEqual(releaseLeftovers([record], 'boot-2'), []);
  const [released] = releaseLeftovers([record], 'boot-1');
  assert.equal(released?.engineKilled, false, 'another start time is another process');
  const saved: JournalRecord = { ...record, step: 'saved' };
  assert.deepEqual(releaseLeftovers([saved], 'boot-1'), [], 'a finished copy stays frozen');
});
