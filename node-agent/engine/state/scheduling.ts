// Scheduling policy with all its parameters, nice value, CPU affinity, I/O priority and timer slack of a thread.
import { SYS } from '../arch/x86-64.ts';
import type { ThreadCoreEntry } from '../image/messages/core.ts';
import { check } from '../linux/error.ts';
import { allocate, errnoName, syscall } from '../linux/ffi.ts';
import type { ThreadBuilder } from '../restore/builder.ts';
import type { RemoteResult } from '../tracee/remote-word.ts';
import type { ThreadKind } from './state-kind.ts';

const AFFINITY_BYTES = 128;
const PRIO_PROCESS = 0;
const IOPRIO_WHO_PROCESS = 1;
const PR_SET_TIMERSLACK = 29;
const PR_GET_TIMERSLACK = 30;
/** bit of the policy in sched_getscheduler(2), flag of its own in struct sched_attr */
const RESET_ON_FORK = 0x40000000;
const FLAG_RESET_ON_FORK = 1;
const FLAG_UTIL_CLAMP = 0x60;
const FULL_UTILISATION = 1024;
/** struct sched_attr of Linux 5.3, include/uapi/linux/sched/types.h */
const ATTR_BYTES = 56;
const AT = {
  size: 0,
  policy: 4,
  flags: 8,
  nice: 16,
  priority: 20,
  runtime: 24,
  utilMin: 48,
  utilMax: 52,
} as const;
/** SCHED_FIFO, SCHED_RR, SCHED_DEADLINE */
const NOT_FAIR: ReadonlySet<number> = new Set([1, 2, 6]);
const answer = allocate(4096);

/** -errno or the value. */
const ask = (nr: number, ...args: [number, (number | bigint)?, (number | bigint)?]): number =>
  syscall(nr, ...args);

function affinityOf(tid: number): Buffer {
  const length = ask(SYS.sched_getaffinity, tid, AFFINITY_BYTES, answer.address);
  return Buffer.from(answer.bytes.subarray(0, Math.max(0, length)));
}

function attributesOf(tid: number): Buffer {
  const result = syscall(SYS.sched_getattr, tid, answer.address, ATTR_BYTES, 0);
  check(result, 'sched_getattr', { pid: tid });
  return Buffer.from(answer.bytes.subarray(0, ATTR_BYTES));
}

/** Asked at the start: in a freeze the engine is a real-time thread (linux/urgency.ts), which has no slice. */
const ofTheEngine = attributesOf(0);

/** A real-time thread keeps its nice value, but the attributes do not show it. */
function niceOf(tid: number, attributes: Buffer): number {
  if (!NOT_FAIR.has(attributes.readUInt32LE(AT.policy))) return attributes.readInt32LE(AT.nice);
  // The raw call answers 20 - nice (getpriority(2), "C library/kernel differences").
  return 20 - ask(SYS.getpriority, PRIO_PROCESS, tid);
}

/** Since Linux 6.12 the default slice of this kernel is told, too; set, it would stay where another kernel has another. */
export function withoutDefaultSlice(attributes: Buffer, ordinary: Buffer): Buffer {
  const fair = !NOT_FAIR.has(attributes.readUInt32LE(AT.policy));
  const slice = attributes.readBigUInt64LE(AT.runtime);
  const set = Buffer.from(attributes);
  if (fair && slice === ordinary.readBigUInt64LE(AT.runtime))
    set.fill(0, AT.runtime, AT.runtime + 8);
  return set;
}

/** CRIU's two fields of the attributes. */
export function policyOf(attributes: Buffer): { schedPolicy: number; schedPrio: number } {
  const resets = attributes.readUInt32LE(AT.flags) & FLAG_RESET_ON_FORK;
  return {
    schedPolicy: attributes.readUInt32LE(AT.policy) + (resets ? RESET_ON_FORK : 0),
    schedPrio: attributes.readUInt32LE(AT.priority),
  };
}

type Saved = Pick<ThreadCoreEntry, 'schedAttributes' | 'schedPolicy' | 'schedPrio' | 'schedNice'>;

/** The attributes to set: ours, or what CRIU's fields say of them; undefined for what every thread is born with. */
export function attributesToSet(saved: Saved): Buffer | undefined {
  const attributes = Buffer.alloc(ATTR_BYTES);
  if (saved.schedAttributes?.length === ATTR_BYTES) {
    attributes.set(saved.schedAttributes);
    const [least, most] = [
      attributes.readUInt32LE(AT.utilMin),
      attributes.readUInt32LE(AT.utilMax),
    ];
    // Kernels without these limits give zeros, and refuse to set them.
    const clamped = most !== 0 && (least !== 0 || most !== FULL_UTILISATION);
    const flags = attributes.readUInt32LE(AT.flags);
    attributes.writeUInt32LE(clamped ? flags | FLAG_UTIL_CLAMP : flags, AT.flags);
    if (!clamped) attributes.fill(0, AT.utilMin);
  } else {
    const policy = saved.schedPolicy ?? 0;
    attributes.writeUInt32LE(policy & ~RESET_ON_FORK, AT.policy);
    attributes.writeUInt32LE(policy & RESET_ON_FORK ? FLAG_RESET_ON_FORK : 0, AT.flags);
    attributes.writeInt32LE(saved.schedNice ?? 0, AT.nice);
    attributes.writeUInt32LE(saved.schedPrio ?? 0, AT.priority);
  }
  attributes.writeUInt32LE(ATTR_BYTES, AT.size);
  const plain = attributes.subarray(AT.policy).every((byte) => byte === 0);
  return plain ? undefined : attributes;
}

export const scheduling: ThreadKind = {
  name: 'scheduling',
  scope: 'thread',
  stage: 'threads',

  collect({ thread }, remote) {
    const { tid } = thread;
    const attributes = withoutDefaultSlice(attributesOf(tid), ofTheEngine);
    const nice = niceOf(tid, attributes);
    const affinity = affinityOf(tid);
    const ioPriority = ask(SYS.ioprio_get, IOPRIO_WHO_PROCESS, tid);
    const slack = remote.must(SYS.prctl, PR_GET_TIMERSLACK);
    return ({ threadCore }) => {
      Object.assign(threadCore, policyOf(attributes));
      threadCore.schedAttributes = attributes;
      threadCore.schedNice = nice;
      threadCore.cpuAffinity = affinity;
      if (ioPriority > 0) threadCore.ioprio = ioPriority;
      threadCore.timerSlackNs = slack.value;
    };
  },

  restore(core, builder) {
    const saved = core.threadCore;
    if (!saved) return;
    if (saved.timerSlackNs) builder.batch.must(SYS.prctl, PR_SET_TIMERSLACK, saved.timerSlackNs);
    const asked = queue(saved, builder);
    if (asked.length === 0) return;
    builder.flush();
    for (const one of asked) if (one.result.value < 0n) reportLoss(builder, one);
  },
};

interface Asked {
  readonly object: string;
  readonly result: RemoteResult;
}

/** What the thread does not have by birth, each by its own rights: a pod that may not have it goes on without. */
function queue(saved: ThreadCoreEntry, { thread, batch }: ThreadBuilder): Asked[] {
  const asked: Asked[] = [];
  const may = (object: string, result: RemoteResult): void => void asked.push({ object, result });
  if (saved.schedNice) {
    may('nice value', batch.call(SYS.setpriority, PRIO_PROCESS, 0, saved.schedNice));
  }
  const attributes = attributesToSet(saved);
  if (attributes)
    may('scheduling policy', batch.call(SYS.sched_setattr, 0, batch.bytes(attributes), 0));
  const { cpuAffinity } = saved;
  if (cpuAffinity?.length && Buffer.compare(cpuAffinity, affinityOf(thread.tid)) !== 0) {
    const mask = batch.bytes(cpuAffinity);
    may('CPU affinity', batch.call(SYS.sched_setaffinity, 0, cpuAffinity.length, mask));
  }
  if (saved.ioprio) {
    may('I/O priority', batch.call(SYS.ioprio_set, IOPRIO_WHO_PROCESS, 0, saved.ioprio));
  }
  return asked;
}

function reportLoss({ saved, process }: ThreadBuilder, { object, result }: Asked): void {
  process.report({
    code: 'Scheduling',
    severity: 'loss',
    pid: process.saved.pid,
    tid: saved.tid,
    object: `${object}: ${errnoName(Number(-result.value))}`,
    advice: 'allow it in the target: CAP_SYS_NICE, RLIMIT_RTPRIO, or CPUs that both nodes have',
  });
}
