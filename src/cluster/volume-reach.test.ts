// Which nodes can mount a volume.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { claim, node } from '../testing/builders.ts';
import type { NodeSelectorTerm } from './pod.ts';
import type { Node, PersistentVolume } from './types.ts';
import { nodesInReach } from './volume-reach.ts';

const made = node('node-a');
const HERE: Node = {
  ...made,
  metadata: { ...made.metadata, labels: { zone: 'z1', disks: '4' } },
};

function volume(nodeSelectorTerms?: readonly NodeSelectorTerm[]): PersistentVolume {
  const nodeAffinity = nodeSelectorTerms && { required: { nodeSelectorTerms } };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'pv-1' },
    spec: { ...(nodeAffinity && { nodeAffinity }) },
  };
}

const label = (key: string, operator: string, ...values: string[]): NodeSelectorTerm => ({
  matchExpressions: [{ key, operator, values }],
});
const name = (operator: string, value: string): NodeSelectorTerm => ({
  matchFields: [{ key: 'metadata.name', operator, values: [value] }],
});

describe('a node', () => {
  for (const [what, terms, able] of [
    ['of all nodes', undefined, true],
    ['of its zone', [label('zone', 'In', 'z0', 'z1')], true],
    ['of another zone', [label('zone', 'In', 'z2')], false],
    ['of any other zone', [label('zone', 'NotIn', 'z1')], false],
    ['of either zone', [label('zone', 'In', 'z2'), label('zone', 'In', 'z1')], true],
    [
      'of both',
      [
        {
          matchExpressions: [
            ...(label('zone', 'In', 'z1').matchExpressions ?? []),
            ...(label('disks', 'Gt', '8').matchExpressions ?? []),
          ],
        },
      ],
      false,
    ],
    ['of nodes with a zone', [label('zone', 'Exists')], true],
    ['of nodes without', [label('zone', 'DoesNotExist')], false],
    ['of nodes with many disks', [label('disks', 'Gt', '3')], true],
    ['of nodes with few', [label('disks', 'Lt', '4')], false],
    ['of this very node', [name('In', 'node-a')], true],
    ['of another one', [name('In', 'node-b')], false],
    ['of no node at all', [{}], false],
  ] as const) {
    it(`${able ? 'can' : 'cannot'} mount a volume ${what}`, () => {
      const mounts = [{ claim: claim(), volume: volume(terms) }];
      assert.deepEqual([...nodesInReach([HERE], mounts)], able ? ['node-a'] : []);
    });
  }

  it('can mount what is bound to nothing yet', () => {
    const mounts = [{ claim: claim(), volume: undefined }];
    assert.deepEqual([...nodesInReach([HERE], mounts)], ['node-a']);
  });
});
