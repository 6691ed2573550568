// Claims, defaults and the status of stores.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StorageClass } from '../cluster/types.ts';
import { claim, NOW, store, time } from '../testing/builders.ts';
import { chooseStore } from './choose.ts';
import { judgeClaim } from './claim.ts';
import { decideStore } from './reconciler.ts';

const claimName = 'checkpoints';
const lazy: StorageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'lazy' },
  volumeBindingMode: 'WaitForFirstConsumer',
};

describe('judgeClaim', () => {
  const pending = claim({ status: { phase: 'Pending' } });
  for (const [what, found, storageClass, reason, usable] of [
    ['bound', claim(), undefined, 'ClaimBound', true],
    ['missing', undefined, undefined, 'ClaimNotFound', false],
    [
      'ending',
      claim({ metadata: { name: claimName, deletionTimestamp: time(0) } }),
      undefined,
      'ClaimNotFound',
      false,
    ],
    ['pending', pending, undefined, 'ClaimNotBound', false],
    ['pending until it is used', pending, lazy, 'BindsOnFirstUse', true],
    ['lost', claim({ status: { phase: 'Lost' } }), undefined, 'ClaimLost', false],
    [
      'read-only',
      claim({ spec: { accessModes: ['ReadOnlyMany'] }, status: { phase: 'Bound' } }),
      undefined,
      'ClaimReadOnly',
      false,
    ],
  ] as const) {
    it(`${what}: ${reason}`, () => {
      const verdict = judgeClaim({ claimName, claim: found, storageClass });
      assert.deepEqual([verdict.reason, verdict.usable], [reason, usable]);
      assert.match(verdict.facts, /"checkpoints"/);
    });
  }
});

describe('chooseStore', () => {
  const older = store({ name: 'older', uid: '1', creationTimestamp: time(-10) });
  const newer = store({ name: 'newer', uid: '2', creationTimestamp: time(-5) });
  const plain = store({ name: 'plain', uid: '3', annotations: {} });

  it('takes the one named, default or not', () => {
    assert.equal(chooseStore('plain', [older, plain])?.metadata.name, 'plain');
    assert.equal(chooseStore('x', [older, plain]), undefined);
  });

  it('takes the newest default', () => {
    assert.equal(chooseStore(undefined, [plain]), undefined);
    assert.equal(chooseStore(undefined, [older, newer, plain])?.metadata.name, 'newer');
    const ending = store({ name: 'ending', uid: '4', deletionTimestamp: time(0) });
    assert.equal(chooseStore(undefined, [ending, older])?.metadata.name, 'older');
  });

  it('says of a default that is not used why', () => {
    const facts = { claimName, claim: claim(), storageClass: undefined };
    const stores = [older, newer];
    const { status, ready } = decideStore({ nowMillis: NOW, store: older, claim: facts, stores });
    assert.equal(ready, true);
    assert.equal(status.capacity, '10Gi');
    assert.match(status.conditions?.[0]?.message ?? '', /"newer" is newer/);
    const used = decideStore({ nowMillis: NOW, store: newer, claim: facts, stores });
    assert.doesNotMatch(used.status.conditions?.[0]?.message ?? '', /newer/);
  });
});
