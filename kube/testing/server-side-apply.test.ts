import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { JsonObject } from './json.ts';
import { ApplyConflict, applyFields, type Owners, recordWrite } from './server-side-apply.ts';

let live: JsonObject;
let owners: Owners;

beforeEach(() => {
  live = {};
  owners = new Map();
});

function apply(manager: string, applied: JsonObject, force = false): void {
  applyFields(live, applied, owners, { manager, force });
}

const condition = (type: string, status: string) => ({ type, status, reason: 'R' });

describe('two managers', () => {
  it('each have their conditions', () => {
    apply('a', { status: { conditions: [condition('Ready', 'False')] } });
    apply('b', { status: { conditions: [condition('Stored', 'True')] } });
    apply('a', { status: { conditions: [condition('Ready', 'True')] } });
    assert.deepEqual(live, {
      status: { conditions: [condition('Ready', 'True'), condition('Stored', 'True')] },
    });
    apply('a', { status: {} });
    assert.deepEqual((live['status'] as JsonObject)['conditions'], [condition('Stored', 'True')]);
  });

  it('share what they agree on, until the last lets go', () => {
    apply('a', { spec: { x: 1, y: 1 } });
    apply('b', { spec: { x: 1 } });
    apply('a', { spec: { y: 1 } });
    assert.deepEqual(live, { spec: { x: 1, y: 1 } });
    apply('b', { spec: { z: 1 } });
    assert.deepEqual(live, { spec: { y: 1, z: 1 } });
  });

  it('conflict where they differ', () => {
    apply('a', { spec: { x: 1 } });
    assert.throws(() => apply('b', { spec: { x: 2 } }), ApplyConflict);
    apply('b', { spec: { x: 2 } }, true);
    apply('a', { spec: {} });
    assert.deepEqual(live, { spec: { x: 2 } });
  });

  it('a plain write takes fields over', () => {
    apply('a', { spec: { x: 1, y: 1 } });
    const before = structuredClone(live);
    live = { spec: { x: 5, y: 1 } };
    recordWrite(before, live, owners, 'kubectl-edit');
    assert.throws(() => apply('a', { spec: { x: 1, y: 1 } }), ApplyConflict);
    apply('a', { spec: { y: 1 } });
    assert.deepEqual(live, { spec: { x: 5, y: 1 } });
  });
});

it('merges finalizers as a set, other lists as a whole', () => {
  live = { metadata: { finalizers: ['other/x'] }, spec: { args: ['1', '2'] } };
  apply('a', { metadata: { finalizers: ['mine/y'] }, spec: { args: ['3'] } });
  assert.deepEqual(live, {
    metadata: { finalizers: ['other/x', 'mine/y'] },
    spec: { args: ['3'] },
  });
  apply('a', { metadata: {}, spec: { args: ['3'] } });
  assert.deepEqual(live['metadata'], { finalizers: ['other/x'] });
});

it('builds nested lists of named items', () => {
  const volumes = [{ name: 'v', emptyDir: {} }];
  const containers = [{ name: 'c', image: 'i', env: [{ name: 'E', value: '1' }] }];
  apply('a', { spec: { volumes, containers } });
  assert.deepEqual(live, { spec: { volumes, containers } });
  apply('a', { spec: { volumes } });
  assert.deepEqual(live, { spec: { volumes } });
});
