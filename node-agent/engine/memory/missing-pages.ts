// Areas of a half-built process whose pages come later: it makes a descriptor for that, which the engine takes over.
import { SYS } from '../arch/x86-64.ts';
import type { Finding } from '../finding.ts';
import { OwnedFd } from '../linux/descriptors.ts';
import { errnoName } from '../linux/ffi.ts';
import {
  enableMissingPages,
  letMissingPagesWait,
  MISSING_FLAGS,
  NEW_DESCRIPTOR,
  openUserfaultfdDevice,
} from '../linux/missing-pages.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import { FdChannel } from '../tracee/fd-channel.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import { type LazyArea, lazyAreas, runsOutside } from './lazy-choice.ts';
import { memoryOf } from './page-set.ts';
import type { SavedRun } from './saved-pages.ts';

const FIRST_OWN_DESCRIPTOR = 3;

/** What one process will miss. Whoever closes the last copy of the descriptor gives it zeros instead. */
export interface MissingPages {
  readonly descriptor: OwnedFd;
  /** ascending */
  readonly runs: readonly SavedRun[];
}

/** The pages of one process, apart by when they come. */
export interface DividedPages {
  /** to be filled before it runs, ascending */
  readonly now: readonly SavedRun[];
  /** undefined: everything is filled */
  readonly later: MissingPages | undefined;
}

/**
 * Divides the pages of a process whose areas are mapped, and from here on lets it wait where its pages are not there. Where
 * that is not to be had, all of them are to be filled, and the reason is told.
 */
export function divideLazily(builder: ProcessBuilder, runs: readonly SavedRun[]): DividedPages {
  const mm = memoryOf(builder.saved);
  const areas = lazyAreas(mm, runs);
  const descriptor = areas.length > 0 ? makeDescriptor(builder) : undefined;
  if (!descriptor) return { now: runs, later: undefined };
  const waiting = areas.filter(({ area }) =>
    letMissingPagesWait(descriptor.fd, area.start, area.end),
  );
  if (waiting.length < areas.length) report(builder, `${areas.length - waiting.length} areas`);
  return {
    now: runsOutside(mm, runs, waiting),
    later: { descriptor, runs: runsOf(waiting) },
  };
}

const runsOf = (areas: readonly LazyArea[]): SavedRun[] => areas.flatMap(({ runs }) => runs);

function makeDescriptor(builder: ProcessBuilder): OwnedFd | undefined {
  const { process } = builder;
  builder.flush();
  const channel = FdChannel.open(process, FIRST_OWN_DESCRIPTOR);
  try {
    const made = makeThere(channel);
    if (typeof made !== 'number') return report(builder, `userfaultfd: ${made.error}`);
    const descriptor = new OwnedFd(channel.pull(made));
    const closing = new RemoteBatch(process.leader);
    closing.must(SYS.close, made);
    closing.run();
    const error = enableMissingPages(descriptor.fd);
    if (error === undefined) return descriptor;
    descriptor[Symbol.dispose]();
    return report(builder, `UFFDIO_API: ${error}`);
  } finally {
    channel.close();
  }
}

/** Its number in the process. The device is handed in: a restored process may have neither the right nor the path. */
function makeThere(channel: FdChannel): number | { readonly error: string } {
  using device = openUserfaultfdDevice();
  const [there = -1] = device ? channel.push([device.fd]) : [];
  const batch = new RemoteBatch(channel.process.leader);
  const made = device
    ? batch.call(SYS.ioctl, there, NEW_DESCRIPTOR, MISSING_FLAGS)
    : batch.call(SYS.userfaultfd, MISSING_FLAGS);
  if (device) batch.must(SYS.close, there);
  batch.run();
  return made.value < 0n ? { error: errnoName(Number(-made.value)) } : made.number;
}

function report(builder: ProcessBuilder, object: string): undefined {
  const finding: Finding = {
    code: 'LazyPagesUnavailable',
    severity: 'note',
    pid: builder.saved.pid,
    object,
    advice:
      'its memory is filled before it runs: lazy pages need Linux 6.1 with /dev/userfaultfd, and CAP_SYS_PTRACE',
  };
  builder.report(finding);
  return undefined;
}
