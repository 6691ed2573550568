// The list of robust futexes that the kernel walks when a thread dies: get_robust_list(2), futex(2).
import { SYS } from '../arch/x86-64.ts';
import { check } from '../linux/error.ts';
import { allocate, syscall } from '../linux/ffi.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import type { ThreadKind } from './state-kind.ts';

/** sizeof(struct robust_list_head) of a 64-bit thread */
export const HEAD_BYTES = 24;
const answer = allocate(4096);

export interface RobustList {
  /** 0 when the thread has none */
  readonly head: bigint;
  readonly length: number;
}

/** Asks from outside; the list itself and the lock words are ordinary memory and travel with the pages. */
export function robustListOf(thread: TracedThread): RobustList {
  const result = syscall(SYS.get_robust_list, thread.tid, answer.address, answer.address + 8n);
  check(result, 'get_robust_list', { pid: thread.tid });
  return { head: answer.words[0]!, length: Number(answer.words[1]) };
}

export const robustList: ThreadKind = {
  name: 'robust-list',
  scope: 'thread',
  stage: 'threads',

  collect({ thread }) {
    const list = robustListOf(thread);
    return ({ threadCore }) => {
      threadCore.futexRla = list.head;
      threadCore.futexRlaLen = list.head === 0n ? 0 : list.length;
    };
  },

  restore(core, { batch }) {
    const head = core.threadCore?.futexRla ?? 0n;
    if (head !== 0n)
      batch.must(SYS.set_robust_list, head, core.threadCore?.futexRlaLen ?? HEAD_BYTES);
  },
};
