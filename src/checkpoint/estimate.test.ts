// What a dry run tells of a real one, and which nodes could take the pod.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TaskResult } from '../../crds/node-task.ts';
import { agentsOf } from '../cluster/agents.ts';
import type { Node } from '../cluster/types.ts';
import { agent, node, NOW, time } from '../testing/builders.ts';
import { localClaim } from '../testing/mounts.ts';
import { estimateOf } from './estimate.ts';

const KERNEL = '6.18.5';

function result(changes: TaskResult = {}): TaskResult {
  return {
    containers: ['main', 'sidecar'].map((name) => ({
      ...{ name, processes: 1, threads: 2, memoryBytes: 2 ** 29, rootfsDiffBytes: 2 ** 20 },
    })),
    freezeMillis: 4.25,
    requirements: { arch: 'x86_64', kernelRelease: KERNEL },
    ...changes,
  };
}

function nodeWith(name: string, info: object = {}, spec: Node['spec'] = {}): Node {
  const made = node(name);
  const nodeInfo = { ...made.status?.nodeInfo, kernelVersion: KERNEL, ...info };
  return { ...made, spec, status: { ...made.status, nodeInfo } };
}

describe('an estimate', () => {
  it('adds memory and files, and the copying of page tables to the rehearsed freeze', () => {
    const { bytes, size, freezeMillis, freeze } = estimateOf(result(), {
      nodes: [],
      agents: [],
      mounts: [],
      nowMillis: NOW,
    });
    assert.equal(bytes, 2 ** 30 + 2 ** 21);
    assert.equal(size, '1.1Gi');
    // Both containers are copied before the freeze.
    assert.equal(freezeMillis, 14.3);
    assert.equal(freeze, '14.3ms');
  });

  it('takes the time of a snapshot where pages cannot be copied before the freeze', () => {
    const nodes = { nodes: [], agents: [], mounts: [], nowMillis: NOW };
    const old = { arch: 'x86_64', kernelRelease: '6.6.9-100' };
    assert.equal(estimateOf(result({ requirements: old }), nodes).freezeMillis, 24.3);
    const containers = [{ ...result().containers![0]!, memoryBytes: 2 ** 27 }];
    assert.equal(estimateOf(result({ containers }), nodes).freezeMillis, 6.8);
  });

  const agents = agentsOf(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => agent(name, name !== 'f')));
  for (const [what, subject, suitable, says] of [
    ['alike', nodeWith('a'), 'Yes', /same architecture and kernel/],
    ['another kernel', nodeWith('b', { kernelVersion: '6.1.0' }), 'Unknown', /6\.1\.0.*6\.18\.5/],
    ['another architecture', nodeWith('c', { architecture: 'arm64' }), 'No', /arm64.*amd64/],
    ['cordoned', nodeWith('d', {}, { unschedulable: true }), 'No', /cordoned/],
    ['not ready', { ...nodeWith('e'), status: node('e', false).status }, 'No', /not ready/],
    ['with an agent that is not ready', nodeWith('f'), 'No', /no ready agent/],
    ['without an agent', nodeWith('x'), 'No', /no ready agent/],
  ] as const) {
    it(`judges a node ${what}: ${suitable}`, () => {
      const [found] = estimateOf(result(), {
        nodes: [subject as Node],
        agents,
        mounts: [],
        nowMillis: NOW,
      }).nodes;
      assert.equal(found?.suitable, suitable);
      assert.match(found?.message ?? '', says);
    });
  }

  it('judges a node whose clock is earlier: No', () => {
    const requirements = { ...result().requirements, monotonicNanos: String(3600e9) };
    const started = (seconds: number) => ({ monotonic: time(-seconds), boottime: time(-seconds) });
    const [a, b] = [
      { nodeName: 'a', podName: 'x', ready: true, initImage: 'i', clocks: started(3_599) },
      { nodeName: 'b', podName: 'y', ready: true, initImage: 'i', clocks: started(3_000) },
    ];
    const nodes = [nodeWith('b'), nodeWith('a')];
    const { nodes: found } = estimateOf(result({ requirements }), {
      nodes,
      agents: [a, b],
      mounts: [],
      nowMillis: NOW,
    });
    assert.deepEqual(
      found.map(({ name, suitable }) => [name, suitable]),
      [
        ['a', 'Yes'],
        ['b', 'No'],
      ],
    );
    assert.match(found[1]?.message ?? '', /monotonic clock is 600 s earlier/);
  });

  it('judges a node that lacks CPU features: No', () => {
    const requirements = { ...result().requirements, cpuFeatures: ['avx512f', 'avx512vl', 'sse2'] };
    const { nodes: found } = estimateOf(result({ requirements }), {
      nodes: [nodeWith('a'), nodeWith('b'), nodeWith('c')],
      agents: agents.map((one) => {
        const cpuFeatures = { a: ['sse2'], b: requirements.cpuFeatures }[one.nodeName];
        return { ...one, ...(cpuFeatures && { cpuFeatures }) };
      }),
      mounts: [],
      nowMillis: NOW,
    });
    assert.deepEqual(
      found.map(({ name, suitable }) => [name, suitable]),
      [
        ['b', 'Yes'],
        ['c', 'Yes'],
        ['a', 'No'],
      ],
    );
    const [b, c, a] = found.map(({ message }) => message);
    assert.match(b ?? '', /all CPU features/);
    assert.match(c ?? '', /a Restore compares CPU features/);
    assert.match(a ?? '', /without avx512f, avx512vl$/);
  });

  it('judges a node that cannot mount a volume of the pod: No', () => {
    const [found] = estimateOf(result(), {
      nodes: [nodeWith('a')],
      agents,
      mounts: [localClaim('node-x')],
      nowMillis: NOW,
    }).nodes;
    assert.equal(found?.suitable, 'No');
    assert.match(found.message, /cannot mount the volume pv-1 of the claim "checkpoints"/);
  });

  it('names those that could first, and no more than a status may hold', () => {
    const many = Array.from({ length: 40 }, (_none, n) => nodeWith(`x${n}`));
    const { nodes } = estimateOf(result(), {
      nodes: [...many, nodeWith('a')],
      agents,
      mounts: [],
      nowMillis: NOW,
    });
    assert.equal(nodes.length, 32);
    assert.equal(nodes[0]?.name, 'a');
  });
});
