// getrlimit(2): read as text, because prlimit(2) on a task of another user wants CAP_SYS_RESOURCE.
import { SYS } from '../arch/x86-64.ts';
import { readProc } from '../linux/procfs/read.ts';
import type { ProcessKind } from './state-kind.ts';

const INFINITE = 0xffffffffffffffffn;
const RLIMIT_BYTES = 16;

/** Lines of /proc/PID/limits (kernel/fs/proc/base.c, lnames) in the order of RLIMIT_* numbers. */
const NAMES = [
  'Max cpu time',
  'Max file size',
  'Max data size',
  'Max stack size',
  'Max core file size',
  'Max resident set',
  'Max processes',
  'Max open files',
  'Max locked memory',
  'Max address space',
  'Max file locks',
  'Max pending signals',
  'Max msgqueue size',
  'Max nice priority',
  'Max realtime priority',
  'Max realtime timeout',
] as const;

const limit = (text: string | undefined): bigint =>
  text === undefined || text === 'unlimited' ? INFINITE : BigInt(text);

export function parseLimits(text: string): { cur: bigint; max: bigint }[] {
  const lines = text.split('\n');
  return NAMES.map((name) => {
    const line = lines.find((candidate) => candidate.startsWith(name)) ?? '';
    const [cur, max] = line.slice(name.length).trim().split(/\s+/);
    return { cur: limit(cur), max: limit(max) };
  });
}

export const resourceLimits: ProcessKind = {
  name: 'resource-limits',
  scope: 'process',
  // After the files: a low RLIMIT_NOFILE would forbid the numbers that we need meanwhile.
  stage: 'final',

  collect({ process }) {
    const text = readProc(`/proc/${process.pid}/limits`);
    return ({ task }) => {
      task.rlimits = { rlimits: parseLimits(text) };
    };
  },

  restore(saved, builder) {
    saved.core.tc?.rlimits?.rlimits.forEach(({ cur, max }, resource) => {
      const wanted = Buffer.alloc(RLIMIT_BYTES);
      wanted.writeBigUInt64LE(cur, 0);
      wanted.writeBigUInt64LE(max, 8);
      builder.makeRoom(1, RLIMIT_BYTES);
      // A hard limit above the pod's own cannot be had without CAP_SYS_RESOURCE; then the pod's limit stands.
      builder.batch.call(SYS.prlimit64, 0, resource, builder.batch.bytes(wanted), 0);
    });
  },
};
