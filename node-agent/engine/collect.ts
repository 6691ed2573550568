// Inside the freeze: everything but the pages of every process of one tree.
import type { Finding } from './finding.ts';
import { readSmallProc } from './linux/procfs/read.ts';
import { readSmallFiles } from './linux/procfs/read-many.ts';
import {
  collectMappings,
  type PreparedMappings,
  prepareMappings,
  type ProcessMemory,
} from './memory/mappings.ts';
import type { SharedMemoryDump } from './memory/shared-memory.ts';
import type { ProcessRecord } from './state/records.ts';
import {
  type Collected as CollectedDescriptors,
  collectDescriptors,
} from './state/files/descriptors.ts';
import type { FileRegistry } from './state/files/registry.ts';
import { type CollectedIpc, collectIpc, hasOwnIpc } from './state/ipc/ipc-namespace.ts';
import { processKinds, threadKinds } from './state/kinds.ts';
import {
  checkMembers,
  fillZombie,
  listMembers,
  type Member,
  newRecord,
} from './state/process-tree.ts';
import type { ProcessSubject } from './state/state-kind.ts';
import { RemoteBatch } from './tracee/remote-batch.ts';
import type { TracedProcess } from './tracee/traced-process.ts';
import type { TracedThread } from './tracee/traced-thread.ts';
import type { Tracer } from './tracee/tracer.ts';

export interface CollectedProcess {
  readonly member: Member;
  readonly record: ProcessRecord;
  /** absent for a zombie */
  readonly memory?: ProcessMemory;
}

export interface CollectedTree {
  readonly members: readonly CollectedProcess[];
  readonly sharedMemory: SharedMemoryDump;
  readonly descriptors: CollectedDescriptors;
  /** absent when another tree saves it, or nobody */
  readonly ipc: CollectedIpc | undefined;
  readonly findings: readonly Finding[];
  /** Makes messages of what was collected: before pages and state are written, the application may run. Once. */
  complete(): void;
}

export interface CollectOptions {
  readonly files: FileRegistry;
  readonly mappings: ReadonlyMap<TracedProcess, PreparedMappings>;
  readonly savesIpc: boolean;
}

/**
 * Collects one tree whose processes are stopped and hold the interpreter.
 *
 * All threads answer at the same time: batches are started on every one of them before the first is waited for. Nothing is
 * decoded here that can wait for {@link CollectedTree.complete}.
 */
export function collectTree(tracer: Tracer, root: number, options: CollectOptions): CollectedTree {
  const findings: Finding[] = [];
  const listed = listMembers(tracer, root).map((member, i) => ({
    member,
    record: newRecord(member, i + 1),
  }));
  findings.push(...checkMembers(listed.map((m) => m.member)));
  const { files } = options;
  const report = (finding: Finding): void => void findings.push(finding);
  const steps: (() => void)[] = [];
  const afterwards = (step: () => void): void => void steps.push(step);
  // Before other shared memory: segments have their numbers already.
  const ipc = options.savesIpc ? collectIpc(root, files.sharedMemory, report) : undefined;
  const registry = { files, sharedMemory: files.sharedMemory, hasIpc: hasOwnIpc(root) };
  const living = listed.flatMap(({ member, record }) => {
    if (!member.process) return [];
    const { process } = member;
    const statusText = statusReader(`/proc/${process.pid}/status`);
    const subject = { process, report, statusText, afterwards };
    return [{ subject, record, pending: queue(subject, record, registry, options) }];
  });
  for (const { pending } of living) for (const batch of pending.batches) batch.start();
  for (const { pending } of living) for (const batch of pending.batches) batch.finish();
  for (const step of steps) step();
  for (const { member, record } of listed) if (!member.process) fillZombie(record, member);
  const descriptors = collectDescriptors(
    living.map(({ subject }) => subject),
    files,
  );
  for (const { subject, record } of living) {
    record.fdinfo.push(...(descriptors.fdinfo.get(subject.process.pid) ?? []));
  }
  const memories = new Map(living.map(({ record, pending }) => [record, pending.memory]));
  const members = listed.map((m) => withMemory(m, memories.get(m.record)));
  const complete = (): void => {
    for (const { pending } of living) pending.fill();
  };
  return { members, sharedMemory: registry.sharedMemory, ipc, descriptors, findings, complete };
}

const withMemory = (
  member: Omit<CollectedProcess, 'memory'>,
  memory: ProcessMemory | undefined,
): CollectedProcess => (memory ? { ...member, memory } : member);

/** Where the files and shared memory of one tree get their ids. */
export interface TreeRegistry {
  readonly files: FileRegistry;
  readonly sharedMemory: SharedMemoryDump;
  readonly hasIpc: boolean;
}

interface Pending {
  readonly batches: readonly RemoteBatch[];
  readonly memory: ProcessMemory;
  fill(): void;
}

/** Queues the questions of every kind; nothing runs yet. */
function queue(
  subject: ProcessSubject,
  record: ProcessRecord,
  registry: TreeRegistry,
  options: CollectOptions,
): Pending {
  const { process } = subject;
  const fillers: (() => void)[] = [];
  const threads = process.orderedThreads;
  const batches = threads.map((thread) => new RemoteBatch(thread));
  // Every thread is asked for some of it: all at once, and of the leader its process is.
  const statusTexts = readSmallFiles(threads.slice(1).map(statusPath));
  threads.forEach((thread, i) => {
    const { core } = record.threads[i]!;
    const statusText =
      i === 0 ? subject.statusText : statusReader(statusPath(thread), statusTexts[i - 1]);
    const threadSubject = { thread, process: subject, statusText };
    for (const kind of threadKinds) {
      const fill = kind.collect(threadSubject, batches[i]!);
      fillers.push(() => fill(core));
    }
  });
  const leader = batches[0]!;
  for (const kind of processKinds) {
    const fill = kind.collect(subject, leader);
    fillers.push(() => fill(record));
  }
  // A process born since the preparation is read in the freeze.
  const prepared = options.mappings.get(process) ?? prepareMappings(process);
  const memory = collectMappings(subject, prepared, registry, leader);
  // First: kinds complete what it writes.
  fillers.unshift(() => memory.writeTo(record));
  record.fs.cwdId = registry.files.pathFile(
    process,
    `/proc/${process.pid}/cwd`,
    O_DIRECTORY,
    subject.report,
  );
  record.fs.rootId = registry.files.pathFile(
    process,
    `/proc/${process.pid}/root`,
    O_DIRECTORY,
    subject.report,
  );
  return {
    batches,
    memory,
    fill: () => {
      for (const fill of fillers) fill();
    },
  };
}

/** @param text that was read already */
function statusReader(path: string, text?: string): () => string {
  return () => (text ??= readSmallProc(path));
}

const statusPath = ({ tid, process }: TracedThread): string =>
  `/proc/${process.pid}/task/${tid}/status`;

const O_DIRECTORY = 0o200000;
