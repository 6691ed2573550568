// On which memory nodes the pages of an area lie, mbind(2). What a thread has for all its memory is in memory-policy.ts.
import { SYS } from '../arch/x86-64.ts';
import type { MemoryPolicyEntry } from '../image/messages/memory.ts';
import { sizeOf } from '../memory/address-space.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { RemoteResult } from '../tracee/remote-word.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import { askPolicy, describeAnswer, NODE_BITS, nodesToSet, POLICY_LOSS } from './memory-policy.ts';
import type { ProcessKind } from './state-kind.ts';

const MPOL_F_ADDR = 2;
const MPOL_MF_MOVE = 2;
/** of one batch: each wants room for its answer */
const AREAS_AT_ONCE = 200;

export const areaPolicies: ProcessKind = {
  name: 'area-policies',
  scope: 'process',
  stage: 'resources',

  collect({ process }) {
    const policies = policiesOf(process);
    return ({ mm }) => {
      for (const area of mm.vmas ?? []) {
        const policy = policies.get(area.start ?? 0n);
        if (policy) area.policy = policy;
      }
    };
  },

  restore(saved, builder) {
    const asked: RemoteResult[] = [];
    for (const area of saved.mm?.vmas ?? []) {
      const { policy, start } = area;
      if (!policy) continue;
      builder.makeRoom(1, NODE_BITS / 8);
      const { batch } = builder;
      const nodes = nodesToSet(batch, policy);
      // Its pages are there already, on whichever node had room.
      const args = [start, sizeOf(area), policy.mode, ...nodes, MPOL_MF_MOVE] as const;
      asked.push(batch.call(SYS.mbind, ...args));
    }
    if (asked.length === 0) return;
    builder.flush();
    const failed = asked.filter(({ value }) => value < 0n);
    if (failed.length === 0) return;
    const object = `${describeAnswer('mbind', failed[0]!)}, ${failed.length} areas`;
    builder.report({ ...POLICY_LOSS, pid: saved.pid, object });
  },
};

/** At once and not with the questions of all other kinds: there may be more than their batch has room for. */
function policiesOf(process: TracedProcess): Map<bigint, MemoryPolicyEntry> {
  const policies = new Map<bigint, MemoryPolicyEntry>();
  const starts = process.policedAreas;
  for (let i = 0; i < starts.length; i += AREAS_AT_ONCE) {
    const batch = new RemoteBatch(process.leader);
    const asked = starts
      .slice(i, i + AREAS_AT_ONCE)
      .map((start) => ({ start, answer: askPolicy(batch, start, MPOL_F_ADDR) }));
    batch.run();
    for (const { start, answer } of asked) {
      const policy = answer();
      if (policy) policies.set(start, policy);
    }
  }
  return policies;
}
