// The list of robust futexes that the kernel walks when a thread dies: get_robust_list(2), futex(2).
import { SYS } from '../arch/x86-64.ts';
import { check } from '../linux/error.ts';
import { allocate, syscall } from '../linux/ffi.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import type { ThreadKind } from './state-kind.ts';

/** sizeof(struct robust_list_head) of a 64-bit thread */
const HEAD_BYTES = 24;
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

/**
 * Takes the lists away from threads that are about to be killed because they live on in an image. Otherwise the kernel
 * would walk them and mark the owner dead in lock words that are not part of the image: files mapped shared, /dev/shm.
 *
 * @returns puts every list back; for when the kill does not happen after all
 */
export function clearRobustLists(threads: readonly TracedThread[]): () => void {
  const cleared = threads
    .map((thread) => ({ thread, list: robustListOf(thread) }))
    .filter(({ list }) => list.head !== 0n);
  for (const { thread } of cleared) setRobustList(thread, 0n, HEAD_BYTES);
  return () => {
    for (const { thread, list } of cleared) setRobustList(thread, list.head, list.length);
  };
}

function setRobustList(thread: TracedThread, head: bigint, length: number): void {
  const batch = new RemoteBatch(thread);
  batch.must(SYS.set_robust_list, head, length);
  batch.run();
}
