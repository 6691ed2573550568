// Facts that every part of a restore relies on, of images that may come from anywhere: each number that is used to find or
// to size something is looked at before the first change. Pure.
import { REGISTER_WORDS } from '../arch/x86-64.ts';
import { ImageError } from '../image/image-error.ts';
import { IMAGES } from '../image/image-files.ts';
import type { CoreEntry, TaskCoreEntry, ThreadCoreEntry } from '../image/messages/core.ts';
import type { CredsEntry } from '../image/messages/creds.ts';
import type { PstreeEntry } from '../image/messages/inventory.ts';
import type { MmEntry } from '../image/messages/memory.ts';
import type { SignalQueueEntry } from '../image/messages/signals.ts';
import { kindOf } from '../memory/saved-areas.ts';
import type { SavedProcess, SavedTree } from '../state/records.ts';

/** PID_MAX_LIMIT of a 64-bit kernel */
const LAST_PID = 4_194_304;
const CHANGEABLE_SIGNALS = 62;
const LAST_SIGNAL = 64;
const SIGINFO_BYTES = 128;
const LIMITS = 16;
const ST_WORDS = 32;
const XMM_WORDS = 64;
const CAPABILITY_WORDS = 2;
/** NGROUPS_MAX */
const MAX_GROUPS = 65_536;
const MARCH_X86_64 = 1;
const MAX_TIMERS = 65_536;
const LAST_TIMER_ID = 0x7fff_ffff;
/** pkeys(7) */
const LAST_KEY = 15;
const ALL_KEYS = 0xffff;
const MICROS_PER_SECOND = 1_000_000n;

type Demand = (holds: boolean, reason: string) => void;

const demandOf =
  (file: string): Demand =>
  (holds, reason) => {
    if (!holds) throw new ImageError({ file, reason });
  };

/** Before anything is looked up by these numbers. @throws ImageError */
export function validatePstree(entries: readonly PstreeEntry[]): void {
  const demand = demandOf(IMAGES.pstree.file);
  demand(entries.length > 0, 'holds no process');
  const pids = new Set<number>();
  for (const { pid, ppid, pgid, sid } of entries) {
    demand(pid >= 1 && pid <= LAST_PID, `${pid} is no pid`);
    for (const id of [pgid, sid]) demand(id <= LAST_PID, `${id} is no group or session`);
    demand(pids.size === 0 || pids.has(ppid), `process ${pid} comes before its parent ${ppid}`);
    demand(!pids.has(pid), `${pid} comes twice`);
    pids.add(pid);
  }
}

/** The same for the threads of one process. Of a zombie they mean nothing: CRIU writes any number. @throws ImageError */
export function validateThreads({ pid, threads }: PstreeEntry): void {
  const demand = demandOf(IMAGES.pstree.file);
  demand(threads[0] === pid, `process ${pid} does not lead its threads`);
  demand(new Set(threads).size === threads.length, `a thread of process ${pid} comes twice`);
  for (const tid of threads) demand(tid >= 1 && tid <= LAST_PID, `${tid} is no thread`);
}

/**
 * @param files ids of all files in files.img
 * @throws ImageError that names image and fact
 */
export function validateTree(tree: SavedTree, files: ReadonlySet<number>): void {
  const tids = tree.processes.flatMap(({ pid, threads }) => [
    pid,
    ...threads.slice(1).map(({ tid }) => tid),
  ]);
  demandOf(IMAGES.pstree.file)(new Set(tids).size === tids.length, 'a thread comes twice');
  for (const process of tree.processes) {
    const { pid, core, zombie, threads } = process;
    const file = IMAGES.core(pid).file;
    const demand = demandOf(file);
    demand(core.tc !== undefined, 'lacks the state of its process');
    demand(core.mtype === MARCH_X86_64, `is of another architecture (${core.mtype})`);
    if (zombie) continue;
    validateTask(core.tc!, demand);
    threads.forEach(({ tid, core: thread }, i) => {
      validateThread(thread, i === 0, demandOf(IMAGES.core(tid).file));
    });
    validateReferences(process, files);
  }
}

function validateTask(task: TaskCoreEntry, demand: Demand): void {
  const { sigactions, rlimits, timers, signalsS } = task;
  demand(sigactions.length === CHANGEABLE_SIGNALS, `has ${sigactions.length} signal actions`);
  demand(rlimits?.rlimits.length === LIMITS, `has ${rlimits?.rlimits.length} resource limits`);
  for (const { cur, max } of rlimits?.rlimits ?? []) demand(cur <= max, 'a limit exceeds its own');
  validateQueue(signalsS, demand);
  for (const timer of timers ? [timers.real, timers.virt, timers.prof] : []) {
    const micros = timer.iusec < MICROS_PER_SECOND && timer.vusec < MICROS_PER_SECOND;
    demand(micros, 'an interval timer has too many microseconds');
  }
  const posix = timers?.posix ?? [];
  demand(posix.length <= MAX_TIMERS, `has ${posix.length} timers`);
  demand(new Set(posix.map(({ itId }) => itId)).size === posix.length, 'a timer comes twice');
  for (const { itId } of posix) demand(itId <= LAST_TIMER_ID, `${itId} is no timer`);
}

function validateThread(core: CoreEntry, leads: boolean, demand: Demand): void {
  const { threadInfo, threadCore, tc } = core;
  demand(leads || tc === undefined, 'holds the state of a process, but is a thread');
  demand(threadInfo !== undefined && threadCore !== undefined, 'lacks its registers or state');
  const { stSpace, xmmSpace } = threadInfo!.fpregs;
  const vectors = stSpace.length === ST_WORDS && xmmSpace.length === XMM_WORDS;
  demand(vectors, 'its floating point registers are incomplete');
  const raw = threadCore!.rawRegisters?.length ?? REGISTER_WORDS * 8;
  demand(raw === REGISTER_WORDS * 8, `its registers have ${raw} bytes`);
  validateQueue(threadCore!.signalsP, demand);
  validateCredentials(threadCore!, demand);
}

function validateQueue(queue: SignalQueueEntry | undefined, demand: Demand): void {
  for (const { siginfo } of queue?.signals ?? []) {
    demand(siginfo.length === SIGINFO_BYTES, `a pending signal has ${siginfo.length} bytes`);
    const signal = Buffer.from(siginfo).readInt32LE(0);
    demand(signal >= 1 && signal <= LAST_SIGNAL, `a pending signal is number ${signal}`);
  }
}

const SETS = [
  'capInh',
  'capPrm',
  'capEff',
  'capBnd',
  'capAmb',
] as const satisfies readonly (keyof CredsEntry)[];

function validateCredentials({ creds }: ThreadCoreEntry, demand: Demand): void {
  if (!creds) return;
  demand(creds.groups.length <= MAX_GROUPS, `has ${creds.groups.length} groups`);
  for (const set of SETS) {
    demand(creds[set].length <= CAPABILITY_WORDS, `its capabilities have too many words (${set})`);
  }
}

/** Whatever a process names by a number must be in files.img. */
function validateReferences({ pid, fs, mm }: SavedProcess, files: ReadonlySet<number>): void {
  const inFs = demandOf(IMAGES.fs(pid).file);
  for (const id of fs ? [fs.cwdId, fs.rootId] : []) inFs(files.has(id), `no file ${id}`);
  if (mm) validateMappings(mm, files, demandOf(IMAGES.mm(pid).file));
}

function validateMappings(mm: MmEntry, files: ReadonlySet<number>, demand: Demand): void {
  demand(files.has(mm.exeFileId), `no file ${mm.exeFileId} to run`);
  demand((mm.protectionKeys ?? 0) <= ALL_KEYS, 'has too many protection keys');
  for (const area of mm.vmas) {
    demand((area.protectionKey ?? 0) <= LAST_KEY, `${area.protectionKey} is no protection key`);
    if (kindOf(area) !== 'file') continue;
    demand(files.has(Number(area.shmid)), `no file ${area.shmid} to map`);
  }
}
