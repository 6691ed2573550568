// Who is who: processes, threads, parents, groups, sessions and zombies of one tree.
import { readFileSync } from 'node:fs';
import { type Finding, refusal } from '../finding.ts';
import { sharesTable } from '../linux/descriptors.ts';
import { childPids } from '../linux/procfs/children.ts';
import { innermost, type ProcStatus, readStat, readStatus, STAT } from '../linux/procfs/status.ts';
import { isDeadSnapshot } from '../memory/reap.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { Tracer } from '../tracee/tracer.ts';
import { foreignNamespaces, namespacesOf } from './namespaces.ts';
import type { ProcessRecord } from './records.ts';
import { TASK_STATE } from './task-facts.ts';

/** A process of the tree as it stands still. */
export interface Member {
  readonly pid: number;
  readonly nsPid: number;
  readonly parent: Member | undefined;
  readonly status: ProcStatus;
  /** absent for a zombie */
  readonly process: TracedProcess | undefined;
}

/** All processes below `root`, parents first, siblings by pid. */
export function listMembers(tracer: Tracer, root: number): Member[] {
  const members: Member[] = [];
  const visit = (pid: number, parent: Member | undefined): void => {
    const process = tracer.processes.get(pid);
    if (process?.snapshot || (!process && isDeadSnapshot(pid))) return;
    const status = readStatus(pid);
    const member = { pid, nsPid: innermost(status.nsPids), parent, status, process };
    members.push(member);
    for (const child of childPids(pid)) visit(child, member);
  };
  visit(root, undefined);
  return members;
}

/** What makes a tree impossible to save as a whole. */
export function checkMembers(members: readonly Member[]): Finding[] {
  const findings: Finding[] = [];
  const [root] = members;
  const ofRoot = root?.process ? namespacesOf(root.pid) : undefined;
  for (const member of members) {
    const { process, nsPid, status } = member;
    if (status.state === 'Z') {
      if (status.threads > 1) {
        findings.push(
          refusal(
            'ZombieLeader',
            nsPid,
            'thread group',
            'its leader has ended while other threads live on; wait until they end',
          ),
        );
      }
      continue;
    }
    if (!process) {
      findings.push(
        refusal(
          'NotTraced',
          nsPid,
          'process',
          'it appeared while the tree was being stopped; try again',
        ),
      );
      continue;
    }
    if (innermost(status.nsSids) === 0 || innermost(status.nsPgids) === 0) {
      findings.push(
        refusal(
          'ForeignSession',
          nsPid,
          'session or group',
          'its leader lives outside of the container; start the process with setsid',
        ),
      );
    }
    findings.push(...sharing(member, members));
    if (ofRoot) findings.push(...foreignNamespaces(nsPid, namespacesOf(member.pid), ofRoot));
  }
  return findings;
}

function sharing(member: Member, members: readonly Member[]): Finding[] {
  const parent = member.parent?.process;
  const { process } = member;
  if (!parent || !process || !members.includes(member)) return [];
  const shared = (
    [
      [1, 'address space'],
      [2, 'descriptor table'],
      [3, 'working directory'],
      [4, 'signal handlers'],
    ] as const
  ).filter(([table]) => sharesTable(process.pid, parent.pid, table));
  return shared.map(([, what]) =>
    refusal(
      'SharedBetweenProcesses',
      member.nsPid,
      what,
      'processes made by clone(2) that share it cannot be saved yet',
    ),
  );
}

/** The empty record of a process, with its place in the tree. */
export function newRecord(member: Member, id: number): ProcessRecord {
  const { nsPid, status, parent, process } = member;
  const threads = process ? process.orderedThreads.map((t) => t.nsTid) : [nsPid];
  return {
    pid: nsPid,
    zombie: process === undefined,
    pstree: {
      pid: nsPid,
      ppid: parent?.nsPid ?? 0,
      pgid: innermost(status.nsPgids),
      sid: innermost(status.nsSids),
      threads,
    },
    ids: { vmId: id, filesId: id, fsId: id, sighandId: id },
    mm: {},
    fs: {},
    fdinfo: [],
    task: {},
    threads: process
      ? threads.map((tid) => ({ tid, core: { threadInfo: {}, threadCore: {} } }))
      : [],
  };
}

/** A zombie is nothing but its exit status and its name. */
export function fillZombie(record: ProcessRecord, member: Member): void {
  const stat = readStat(member.pid);
  const status = Number(stat(STAT.exitCode));
  const name = readFileSync(`/proc/${member.pid}/comm`, 'latin1').replace(/\n$/, '');
  Object.assign(record.task, {
    taskState: TASK_STATE.DEAD,
    // CRIU masks the code with 0x7f when it restores; the exact status has a field of its own.
    exitCode: status,
    exitStatus: status,
    personality: 0,
    flags: Number(stat(STAT.flags)),
    blkSigset: 0n,
    comm: name,
  });
}
