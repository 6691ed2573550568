// What the judgement about a running root rests on; it is stopped and holds the interpreter.
import { readdirSync, readlinkSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import type { FileEntry } from '../image/messages/files.ts';
import { O } from '../linux/file-facts.ts';
import { readMounts } from '../linux/procfs/mountinfo.ts';
import { readProc, tryReadProc } from '../linux/procfs/read.ts';
import { readStatus } from '../linux/procfs/status.ts';
import { seccompFilters } from '../linux/ptrace.ts';
import { parseLimits } from '../state/resource-limits.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { RootFacts, Stream, WantedStream } from './judge.ts';

const PR_GET_SECUREBITS = 27;
const STANDARD_NUMBERS = [0, 1, 2] as const;

/** @param members all processes of its tree, it included */
export function rootFacts(root: TracedProcess, members: readonly TracedProcess[]): RootFacts {
  const batch = new RemoteBatch(root.leader);
  const securebits = batch.must(SYS.prctl, PR_GET_SECUREBITS);
  batch.run();
  return {
    status: readStatus(root.pid),
    securebits: securebits.number,
    filters: seccompFilters(root.leader.tid),
    hardLimits: parseLimits(readProc(`/proc/${root.pid}/limits`)).map(({ max }) => max),
    ownsRoot: readMounts(root.pid).some(({ point }) => point === '/'),
    streams: STANDARD_NUMBERS.map((number) => streamOf(root.pid, number, members)),
  };
}

/** The descriptors of the container that the saved tree had. */
export function wantedStreams(files: readonly FileEntry[]): WantedStream[] {
  return files.flatMap(({ pipe, tty }): WantedStream[] => {
    if (pipe?.stdio !== undefined) return [{ number: pipe.stdio - 1, kind: 'pipe' }];
    return tty?.stdio === undefined ? [] : [{ number: tty.stdio - 1, kind: 'terminal' }];
  });
}

function streamOf(pid: number, number: number, members: readonly TracedProcess[]): Stream {
  const link = linkOf(pid, number);
  if (link === undefined) return 'closed';
  if (/^\/dev\/(pts\/|console|tty)/.test(link)) return 'terminal';
  if (!link.startsWith('pipe:[')) return 'own';
  const mode = accessMode(pid, number);
  // A pipe of which both ends are in the tree leads nowhere.
  const isInner = members.some((member) => holdsOtherEnd(member.pid, link, mode));
  return isInner ? 'own' : 'pipe';
}

function holdsOtherEnd(pid: number, link: string, mode: number | undefined): boolean {
  return readdirSync(`/proc/${pid}/fd`)
    .map(Number)
    .some((fd) => linkOf(pid, fd) === link && accessMode(pid, fd) !== mode);
}

function linkOf(pid: number, fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return undefined;
  }
}

function accessMode(pid: number, fd: number): number | undefined {
  const flags = /^flags:\s*([0-7]+)/m.exec(tryReadProc(`/proc/${pid}/fdinfo/${fd}`) ?? '')?.[1];
  return flags === undefined ? undefined : Number.parseInt(flags, 8) & O.ACCMODE;
}
