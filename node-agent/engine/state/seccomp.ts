// Seccomp filters, seccomp(2): each thread has a chain of them, the pod's own is its oldest part. They are saved in
// seccomp.img, each once, linked from the newest to the oldest.
import { SYS } from '../arch/x86-64.ts';
import { ImageError } from '../image/image-error.ts';
import { IMAGES } from '../image/image-files.ts';
import type { CoreEntry } from '../image/messages/core.ts';
import type { SeccompFilter } from '../image/messages/security.ts';
import type { ImageReader } from '../image/reader.ts';
import type { ImageWriter } from '../image/writer.ts';
import { writeMemory } from '../linux/process-memory.ts';
import { seccompFilters } from '../linux/ptrace.ts';
import type { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import type { ProcessRecord } from './records.ts';
import type { ProcessKind, ThreadKind } from './state-kind.ts';

const MODE = { STRICT: 1, FILTER: 2 } as const;
const PR_GET_SECCOMP = 21;
const PR_SET_SECCOMP = 22;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
/** the only flag that the kernel reports of an installed filter */
const FILTER_FLAG_LOG = 2;
const INSTRUCTION_BYTES = 8;
/** BPF_MAXINSNS */
const MAX_INSTRUCTIONS = 4096;
/** MAX_INSNS_PER_PATH, kernel/seccomp.c: what all filters of a chain may hold, 4 for each filter included */
const MAX_CHAIN_INSTRUCTIONS = 32768;
const FPROG_BYTES = 16;

/** One filter, as the kernel holds it. */
export interface Filter {
  /** struct sock_filter, 8 bytes each */
  readonly program: Uint8Array;
  readonly flags: number;
}

/** A thread's chain, oldest first. */
export type FilterChain = readonly Filter[];

export const seccomp: ThreadKind = {
  name: 'seccomp',
  scope: 'thread',
  // Before the credentials: who has none left may not install a filter.
  stage: 'final',

  collect({ thread }, remote) {
    // The trace suspends seccomp, so that even a strict thread may be asked.
    const mode = remote.must(SYS.prctl, PR_GET_SECCOMP);
    const filters = seccompFilters(thread.tid);
    return (core) => {
      core.threadCore.seccompMode = mode.number;
      core.filters = filters;
    };
  },

  complete: writeFilters,

  restore(core, builder) {
    const { saved, thread, batch } = builder;
    const present = seccompFilters(thread.tid).length;
    install(saved.filters.slice(present), thread, batch);
    if (core.threadCore?.seccompMode === MODE.STRICT) {
      batch.must(SYS.prctl, PR_SET_SECCOMP, MODE.STRICT);
    }
  },
};

/**
 * What all threads of a process have in common is installed before there is a second one: only filters that threads
 * were born with are the same object, which SECCOMP_FILTER_FLAG_TSYNC asks for.
 */
export const sharedSeccomp: ProcessKind = {
  name: 'seccomp-shared',
  scope: 'process',
  stage: 'resources',
  collect: () => () => {},

  restore(saved, builder) {
    const { leader } = builder.process;
    const shared = commonPrefix(saved.threads.map((thread) => thread.filters));
    const present = seccompFilters(leader.tid).length;
    if (shared.length <= present) return;
    builder.flush();
    // A process without CAP_SYS_ADMIN could install its filters because it had given up new privileges first.
    if (saved.core.threadCore?.creds?.noNewPrivs) {
      builder.batch.must(SYS.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
    install(shared.slice(present), leader, builder.batch);
  },
};

/** Installs filters, oldest first, in a thread whose batch is empty but for what was queued for it. */
function install(filters: FilterChain, thread: TracedThread, batch: RemoteBatch): void {
  const { process } = thread;
  if (filters.length === 0 || !process.resident) return;
  // A program may be larger than the room of a thread: the leader's is used, which is at rest meanwhile.
  const at = process.resident.slot(process.leader).dataAt;
  for (const { program, flags } of filters) {
    if (batch.length > 0) batch.run();
    writeMemory(process.pid, at, Buffer.concat([fprog(program, at), program]));
    batch.must(SYS.seccomp, SECCOMP_SET_MODE_FILTER, flags & FILTER_FLAG_LOG, at);
    batch.run();
  }
}

/** struct sock_fprog of a program that follows it. */
function fprog(program: Uint8Array, at: bigint): Buffer {
  const bytes = Buffer.alloc(FPROG_BYTES);
  bytes.writeUInt16LE(program.length / INSTRUCTION_BYTES, 0);
  bytes.writeBigUInt64LE(at + BigInt(FPROG_BYTES), 8);
  return bytes;
}

const same = (a: Filter | undefined, b: Filter | undefined): boolean =>
  a !== undefined &&
  b !== undefined &&
  a.flags === b.flags &&
  Buffer.compare(a.program, b.program) === 0;

/** What all chains begin with. */
export function commonPrefix(chains: readonly FilterChain[]): FilterChain {
  const [first = [], ...others] = chains;
  const end = first.findIndex((filter, i) => !others.every((chain) => same(filter, chain[i])));
  return end < 0 ? first : first.slice(0, end);
}

/** Is `first` the oldest part of `chain`? */
export function beginsWith(chain: FilterChain, first: FilterChain): boolean {
  return first.every((filter, i) => same(filter, chain[i]));
}

/** Gives every thread the index of its newest filter and writes the filters, each chain's common part once. */
function writeFilters(records: readonly ProcessRecord[], images: ImageWriter): void {
  const written: SeccompFilter[] = [];
  const known = new Map<string, number>();
  for (const { core } of records.flatMap((record) => record.threads)) {
    let newest: number | undefined;
    for (const { program, flags } of core.filters ?? []) {
      const key = `${newest} ${flags} ${Buffer.from(program).toString('latin1')}`;
      const index = known.get(key) ?? written.length;
      if (index === written.length) {
        known.set(key, index);
        const prev = newest === undefined ? {} : { prev: newest };
        written.push({ filter: program, flags, ...prev });
      }
      newest = index;
    }
    if (newest !== undefined) core.threadCore.seccompFilter = newest;
  }
  if (written.length > 0) images.append(IMAGES.seccomp, { seccompFilters: written });
}

const damaged = (reason: string): ImageError =>
  new ImageError({ file: IMAGES.seccomp.file, reason });

/**
 * Finds the chain of each saved thread.
 *
 * @throws ImageError for chains that no kernel would have accepted
 */
export function readFilterChains(images: ImageReader): (core: CoreEntry) => FilterChain {
  const filters = images.records(IMAGES.seccomp).flatMap((entry) => entry.seccompFilters);
  const chains = new Map<number, FilterChain>();
  return ({ threadCore }) => {
    const newest = threadCore?.seccompFilter;
    if (newest === undefined || threadCore?.seccompMode !== MODE.FILTER) return [];
    const known = chains.get(newest) ?? chainOf(filters, newest);
    chains.set(newest, known);
    return known;
  };
}

function chainOf(filters: readonly SeccompFilter[], newest: number): FilterChain {
  const chain: Filter[] = [];
  let instructions = 0;
  // The limit on instructions also ends a chain that comes back to itself.
  for (let next: number | undefined = newest; next !== undefined; next = filters[next]?.prev) {
    const found = filters[next];
    if (!found) throw damaged(`has no filter ${next}`);
    const { filter: program, flags = 0 } = found;
    const length = program.length / INSTRUCTION_BYTES;
    if (!Number.isInteger(length) || length < 1 || length > MAX_INSTRUCTIONS) {
      throw damaged(`filter ${next} has ${program.length} bytes`);
    }
    instructions += length + 4;
    if (instructions > MAX_CHAIN_INSTRUCTIONS)
      throw damaged(`the chain of filter ${newest} is too long`);
    chain.unshift({ program, flags });
  }
  return chain;
}
