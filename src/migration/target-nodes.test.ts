// Which nodes a Migration may not go to: without the pod's volumes, with clocks that would run backwards, with less of a CPU.
import { describe } from 'node:test';
import { agentsStarted, agentsWith } from '../testing/agents.ts';
import { migration, pod } from '../testing/builders.ts';
import { migrationFacts } from '../testing/migration-facts.ts';
import { labelledNode, localClaim } from '../testing/mounts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideMigration } from './decide.ts';
import type { MigrationFacts } from './facts.ts';

/** The pod mounts a claim bound to a volume of these nodes. */
function local(...names: readonly string[]): Partial<MigrationFacts> {
  return {
    mounts: [localClaim(...names)],
    nodes: ['node-a', 'node-b'].map(labelledNode),
    targetNode: labelledNode('node-b'),
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
    what: 'anywhere, where the only other node with the volume was started after the source',
    facts: {
      pod: pod({}, owner('StatefulSet')),
      migration: migration({ target: { any: {} } }),
      agents: agentsStarted(600, 60, 600),
      ...local('node-a', 'node-b'),
      targetNode: undefined,
    },
    step: 'fail ClockEarlier',
    says: /no other node will do: node-b was started too late/,
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
