// Which nodes a Migration may not go to: without the pod's volumes, with clocks that would run backwards, with less of a CPU.
import { describe } from 'node:test';
import { agentsOf } from '../cluster/agents.ts';
import type { Node } from '../cluster/types.ts';
import { agent, claim, migration, node, pod, time } from '../testing/builders.ts';
import { migrationFacts } from '../testing/migration-facts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideMigration } from './decide.ts';
import type { MigrationFacts } from './facts.ts';

/** Of node-a, the source's, and node-b, started so many seconds ago. */
function agentsStarted(...seconds: readonly [number, number]): MigrationFacts['agents'] {
  return agentsOf([agent('node-a'), agent('node-b')]).map((one, index) => {
    const start = time(-(seconds[index] ?? 0));
    return { ...one, clocks: { monotonic: start, boottime: start } };
  });
}

/** Of node-a, the source's, and node-b, with these CPU features. */
function agentsWith(
  ...features: readonly [readonly string[], readonly string[]]
): MigrationFacts['agents'] {
  return agentsOf([agent('node-a'), agent('node-b')]).map((one, index) => ({
    ...one,
    cpuFeatures: features[index] ?? [],
  }));
}

/** A claim bound to a volume of these nodes. */
function local(...names: readonly string[]): Partial<MigrationFacts> {
  const requirement = { key: 'kubernetes.io/hostname', operator: 'In', values: names };
  const required = { nodeSelectorTerms: [{ matchExpressions: [requirement] }] };
  const labelled = (name: string): Node => {
    const made = node(name);
    return { ...made, metadata: { ...made.metadata, labels: { 'kubernetes.io/hostname': name } } };
  };
  return {
    claims: [claim({ spec: { accessModes: ['ReadWriteOnce'], volumeName: 'pv-1' } })],
    volumes: [
      {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: 'pv-1' },
        spec: { nodeAffinity: { required } },
      },
    ],
    nodes: [labelled('node-a'), labelled('node-b')],
    targetNode: labelled('node-b'),
  };
}

const owner = (kind: string) => ({
  ownerReferences: [{ apiVersion: 'apps/v1', kind, name: 'redis-5f', uid: 'o', controller: true }],
});

const CASES: readonly StepCase<MigrationFacts>[] = [
  {
    what: 'a volume that the target does not have',
    facts: { pod: pod({}, owner('StatefulSet')), ...local('node-a') },
    step: 'fail VolumeStaysBehind',
    says: /spec\.target\.nodeName: node node-b cannot mount the volume pv-1 of the claim "checkpoints"/,
  },
  {
    what: 'a volume that the target has',
    facts: { pod: pod({}, owner('StatefulSet')), ...local('node-b') },
    step: 'accept',
  },
  {
    what: 'anywhere, with a volume that only the source node has',
    facts: {
      pod: pod({}, owner('StatefulSet')),
      migration: migration({ target: { any: {} } }),
      ...local('node-a'),
      targetNode: undefined,
    },
    step: 'fail VolumeStaysBehind',
    says: /spec\.target: no node but node-a can mount the volume pv-1/,
  },
  {
    what: 'anywhere, with a volume that another node has, too',
    facts: {
      pod: pod({}, owner('StatefulSet')),
      migration: migration({ target: { any: {} } }),
      ...local('node-a', 'node-b'),
      targetNode: undefined,
    },
    step: 'accept',
  },
  {
    what: 'to a node that was started after the source',
    facts: { agents: agentsStarted(600, 60) },
    step: 'fail ClockEarlier',
    says: /spec\.target\.nodeName: node node-b.*540 s earlier/,
  },
  {
    what: 'anywhere, where all others were started after the source',
    facts: { agents: agentsStarted(600, 60), migration: migration({ target: { any: {} } }) },
    step: 'fail ClockEarlier',
    says: /node-b/,
  },
  { what: 'to an older node', facts: { agents: agentsStarted(60, 600) }, step: 'accept' },
  {
    what: 'to a node with less of a CPU',
    facts: { agents: agentsWith(['avx2', 'avx512f', 'sse2'], ['sse2']) },
    step: 'fail CpuFeatureMissing',
    says: /spec\.target\.nodeName: node node-b has a CPU without avx2, avx512f/,
  },
  {
    what: 'anywhere, where all others have less of a CPU',
    facts: {
      agents: agentsWith(['avx2', 'sse2'], ['sse2']),
      migration: migration({ target: { any: {} } }),
    },
    step: 'fail CpuFeatureMissing',
    says: /spec\.target: no other node will do: node-b has a CPU without avx2/,
  },
  {
    what: 'to a node with more of a CPU',
    facts: { agents: agentsWith(['sse2'], ['avx2', 'sse2']) },
    step: 'accept',
  },
];

describe('the target of a Migration', () => {
  checkSteps((changes) => decideMigration(migrationFacts(changes)), CASES);
});
