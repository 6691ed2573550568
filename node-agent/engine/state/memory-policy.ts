// On which memory nodes a thread takes new pages: set_mempolicy(2). Those of single areas are in area-policies.ts.
import { SYS } from '../arch/x86-64.ts';
import type { MemoryPolicyEntry } from '../image/messages/memory.ts';
import { errnoName } from '../linux/ffi.ts';
import { hasSeveralNodes } from '../linux/procfs/numa-maps.ts';
import type { RemoteBatch } from '../tracee/remote-batch.ts';
import type { RemoteResult, RemoteWord } from '../tracee/remote-word.ts';
import type { ThreadKind } from './state-kind.ts';

/** MAX_NUMNODES of every x86-64 kernel */
export const NODE_BITS = 1024;
const MODE_BYTES = 8;
const MPOL_DEFAULT = 0;

/**
 * Queues get_mempolicy(2).
 *
 * @param where the last two arguments: an address and a flag, or zeros for the thread
 * @returns undefined for the default, and on kernels without CONFIG_NUMA
 */
export function askPolicy(
  remote: RemoteBatch,
  ...where: [bigint | number, number]
): () => MemoryPolicyEntry | undefined {
  const answer = remote.space(MODE_BYTES + NODE_BITS / 8);
  const nodesAt = answer.address + BigInt(MODE_BYTES);
  const asked = remote.call(SYS.get_mempolicy, answer, nodesAt, NODE_BITS, ...where);
  return () => {
    const mode = answer.int32(0);
    if (asked.value < 0n || mode === MPOL_DEFAULT) return undefined;
    return { mode, nodes: withoutZeros(answer.bytes.subarray(MODE_BYTES)) };
  };
}

function withoutZeros(nodes: Buffer): Buffer {
  return Buffer.from(nodes.subarray(0, nodes.findLastIndex((byte) => byte !== 0) + 1));
}

/** The mask and its length in bits as set_mempolicy(2) and mbind(2) take them; a policy without nodes has none. */
export function nodesToSet(
  remote: RemoteBatch,
  { nodes }: MemoryPolicyEntry,
): [RemoteWord, number] {
  if (nodes.length === 0) return [0, 0];
  const mask = Buffer.alloc(NODE_BITS / 8);
  mask.set(nodes.subarray(0, mask.length));
  return [remote.bytes(mask), NODE_BITS];
}

export const POLICY_LOSS = {
  code: 'MemoryPolicy',
  severity: 'loss',
  advice: 'its memory nodes are not there, or its cpuset here does not have them',
} as const;

export const describeAnswer = (what: string, { value }: RemoteResult): string =>
  `${what}: ${errnoName(Number(-value))}`;

const severalNodes = hasSeveralNodes();

export const memoryPolicy: ThreadKind = {
  name: 'memory-policy',
  scope: 'thread',
  stage: 'threads',

  collect(_subject, remote) {
    if (!severalNodes) return () => {};
    const asked = askPolicy(remote, 0, 0);
    return ({ threadCore }) => {
      const policy = asked();
      if (policy) threadCore.memoryPolicy = policy;
    };
  },

  restore(core, builder) {
    const policy = core.threadCore?.memoryPolicy;
    if (!policy) return;
    builder.makeRoom(1, NODE_BITS / 8);
    const { batch } = builder;
    const result = batch.call(SYS.set_mempolicy, policy.mode, ...nodesToSet(batch, policy));
    builder.flush();
    if (result.value >= 0n) return;
    const { pid } = builder.process.saved;
    const object = describeAnswer('set_mempolicy', result);
    builder.process.report({ ...POLICY_LOSS, pid, tid: builder.saved.tid, object });
  },
};
