// Which nodes a Restore may not go to: without the pod's volumes, with clocks that would run backwards, with less of a CPU.
import { describe } from 'node:test';
import { agentsStarted, agentsWith } from '../testing/agents.ts';
import { checkpoint, pod, restore, storedStatus } from '../testing/builders.ts';
import { labelledNode, localClaim } from '../testing/mounts.ts';
import { restoreFacts } from '../testing/restore-facts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideRestore } from './decide.ts';
import type { RestoreFacts } from './facts.ts';

const both = ['node-a', 'node-b'].map(labelledNode);
const anywhere = { restore: restore(), node: undefined };
const requirements = { arch: 'x86_64', monotonicNanos: String(3600e9) };
const longRunning = checkpoint({}, { ...storedStatus(pod()), requirements });
const vectors = checkpoint(
  {},
  { ...storedStatus(pod()), requirements: { cpuFeatures: ['avx512f'] } },
);

const CASES: readonly StepCase<RestoreFacts>[] = [
  {
    what: 'on a node that was started too late',
    facts: { checkpoint: longRunning, agents: agentsStarted(3_600, 60) },
    step: 'fail ClockEarlier',
    says: /^spec\.target\.newPod\.nodeName: node node-b.*monotonic clock is 3540 s earlier/,
  },
  {
    what: 'anywhere, where some node was started early enough',
    facts: { checkpoint: longRunning, ...anywhere, agents: agentsStarted(3_600, 60) },
    step: 'create-placeholder',
  },
  {
    what: 'anywhere, where all nodes were started too late',
    facts: { checkpoint: longRunning, ...anywhere, agents: agentsStarted(600, 60) },
    step: 'fail ClockEarlier',
    says: /no node with an agent will do: node-a was started too late.*; node-b was/,
  },
  {
    what: 'on a node without a CPU feature that the processes may use',
    facts: { checkpoint: vectors, agents: agentsWith(['avx512f'], ['avx2']) },
    step: 'fail CpuFeatureMissing',
    says: /^spec\.target\.newPod\.nodeName: node node-b has a CPU without avx512f/,
  },
  {
    what: 'anywhere, where some node has it',
    facts: { checkpoint: vectors, ...anywhere, agents: agentsWith(['avx512f'], ['avx2']) },
    step: 'create-placeholder',
  },
  {
    what: 'anywhere, where no node has it',
    facts: { checkpoint: vectors, ...anywhere, agents: agentsWith([], ['avx2']) },
    step: 'fail CpuFeatureMissing',
    says: /no node with an agent will do: node-a has a CPU without avx512f; node-b/,
  },
  {
    what: 'on a node that cannot mount a volume of the pod',
    facts: { node: labelledNode('node-b'), mounts: [localClaim('node-a')] },
    step: 'fail VolumeStaysBehind',
    says: /spec\.target\.newPod\.nodeName: node node-b cannot mount the volume pv-1 of the claim "checkpoints"/,
  },
  {
    what: 'in the place of a replica, on a node that cannot mount a volume of the pod',
    facts: {
      restore: restore({ target: { type: 'Adopt', adopt: { nodeName: 'node-b' } } }),
      node: labelledNode('node-b'),
      mounts: [localClaim('node-a')],
    },
    step: 'fail VolumeStaysBehind',
    says: /spec\.target\.adopt\.nodeName: node node-b cannot mount/,
  },
  {
    what: 'on the node that can',
    facts: { node: labelledNode('node-b'), mounts: [localClaim('node-b')] },
    step: 'create-placeholder',
  },
  {
    what: 'anywhere, where one node can',
    facts: { ...anywhere, nodes: both, mounts: [localClaim('node-a')] },
    step: 'create-placeholder',
  },
  {
    what: 'anywhere, where no node can',
    facts: { ...anywhere, nodes: both, mounts: [localClaim('node-x')] },
    step: 'fail VolumeStaysBehind',
    says: /spec\.target: no node can mount the volume pv-1/,
  },
  {
    what: 'anywhere, where the only node that can was started too late',
    facts: {
      ...anywhere,
      nodes: both,
      mounts: [localClaim('node-b')],
      checkpoint: longRunning,
      agents: agentsStarted(3_600, 60),
    },
    step: 'fail ClockEarlier',
    says: /spec\.target: no node with an agent will do: node-b was started too late/,
  },
];

describe('the target of a Restore', () => {
  checkSteps((changes) => decideRestore(restoreFacts(changes)), CASES);
});
