// Which labels a restored pod keeps.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkpoint, pod, restore, storedStatus } from '../testing/builders.ts';
import { placeholderMetadata } from './metadata.ts';

describe('placeholderMetadata', () => {
  it('keeps labels, but none that would make a controller take it for its own', () => {
    const labels = { app: 'redis', 'pod-template-hash': '5f', 'controller-revision-hash': 'x' };
    const labelsOf = (ownerKind: string): Readonly<Record<string, string>> => {
      const stored = checkpoint({}, storedStatus(pod({}, { labels })));
      const source = { podUID: 'pod-1', node: 'node-a', ownerKind, ownerName: 'x' };
      const owned = { ...stored, status: { ...stored.status, source } };
      return placeholderMetadata(restore(), owned, '{}').labels ?? {};
    };
    const ours = { 'diapause.dev/role': 'restored', 'diapause.dev/restore-uid': 'rst-1' };
    assert.deepEqual(labelsOf('ReplicaSet'), { app: 'redis', ...ours });
    assert.deepEqual(labelsOf('Job'), { app: 'redis', ...ours });
    assert.deepEqual(labelsOf('StatefulSet'), ours);
    assert.deepEqual(labelsOf('DaemonSet'), ours);
  });
});
