// Tasks: names, health, and which of them are swept.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NOW, time } from '../testing/builders.ts';
import { dump, thaw } from '../testing/checkpoint-facts.ts';
import { decideSweep } from './reconciler.ts';
import { attemptOf, bundlePath, taskHealth } from './task.ts';

describe('tasks', () => {
  it('carry what they are for in labels', () => {
    assert.deepEqual(dump().metadata.labels, {
      'app.kubernetes.io/managed-by': 'diapause',
      'diapause.dev/node': 'node-a',
      'diapause.dev/owner-kind': 'Checkpoint',
      'diapause.dev/owner-uid': 'chk-1',
      'diapause.dev/task-type': 'Dump',
      'diapause.dev/pod-uid': 'pod-1',
      'diapause.dev/attempt': '1',
    });
    assert.equal(attemptOf(dump()), 1);
  });

  it('are lost when nobody was heard of for a minute', () => {
    assert.equal(taskHealth(dump(), NOW), 'unclaimed');
    assert.equal(taskHealth(dump({ state: 'Running' }), NOW), 'running');
    assert.equal(taskHealth(dump({ state: 'Running', heartbeatTime: time(-60) }), NOW), 'running');
    assert.equal(taskHealth(dump({ state: 'Running', heartbeatTime: time(-61) }), NOW), 'lost');
    assert.equal(taskHealth(dump({ state: 'Running', heartbeatTime: 'x' }), NOW), 'lost');
    assert.equal(taskHealth(dump({ state: 'Failed', heartbeatTime: time(-61) }), NOW), 'finished');
  });

  it('write below a folder of the namespace, under a name that a file system takes', () => {
    assert.equal(bundlePath('shop', 'redis-1', 'u'), 'shop/redis-1-u');
    const uid = '0'.repeat(36);
    const [, folder = ''] = bundlePath('shop', 'n'.repeat(253), uid).split('/');
    assert.ok(Buffer.byteLength(folder) <= 255);
    assert.ok(folder.endsWith(uid));
  });
});

describe('decideSweep', () => {
  const running = dump({ state: 'Running' });
  const told = { ...running, spec: { ...running.spec, cancel: true } };
  const later = NOW + 3600_000;
  for (const [what, task, nowMillis, step] of [
    ['finished', dump({ state: 'Succeeded' }), NOW, 'remove'],
    ['never taken', dump(), NOW, 'remove'],
    ['at work', running, NOW, 'cancel'],
    ['told to stop', told, NOW, 'leave'],
    ['told to stop, for ever', told, later, 'remove'],
    ['a thaw that is owed', thaw(), NOW, 'leave'],
    ['a thaw at work', thaw({ state: 'Running' }), NOW, 'leave'],
    ['a thaw that nobody ever did', thaw(), later, 'remove'],
    ['a thaw that is done', thaw({ state: 'Succeeded' }), NOW, 'remove'],
  ] as const) {
    it(`whose owner is gone, ${what}: ${step}`, () => {
      assert.equal(decideSweep({ nowMillis, task, ownerExists: false }).do, step);
    });
  }

  it('leaves what has an owner', () => {
    for (const task of [running, dump({ state: 'Failed' }), dump()]) {
      assert.deepEqual(decideSweep({ nowMillis: later, task, ownerExists: true }), { do: 'leave' });
    }
  });
});
