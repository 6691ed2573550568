// What the kernel does on behalf of a thread when it ends: it walks the robust list and clears the thread's id.
import { SYS } from '../arch/x86-64.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import { HEAD_BYTES, robustListOf } from './robust-list.ts';
import { PR_GET_TID_ADDRESS } from './tid-address.ts';

/**
 * Takes it away from threads that are about to be killed because they live on in an image. Otherwise the kernel would mark
 * the owner dead in lock words, and clear ids, that are not part of the image: files mapped shared, /dev/shm.
 *
 * @returns puts everything back; for when the kill does not happen after all
 */
export function revokeLastWills(threads: readonly TracedThread[]): () => void {
  const asked = threads.map((thread) => {
    const { head, length } = robustListOf(thread);
    const batch = new RemoteBatch(thread);
    const tidAddress = batch.space(8);
    batch.must(SYS.prctl, PR_GET_TID_ADDRESS, tidAddress);
    setBoth(batch, 0n, { head: 0n, length: head === 0n ? 0 : HEAD_BYTES });
    return { thread, batch, tidAddress, list: { head, length: head === 0n ? 0 : length } };
  });
  for (const { batch } of asked) batch.start();
  for (const { batch } of asked) batch.finish();
  return () => {
    for (const { thread, tidAddress, list } of asked) {
      const batch = new RemoteBatch(thread);
      setBoth(batch, tidAddress.word(0), list);
      batch.run();
    }
  };
}

/** A list without length is left as it is: the thread never had one. */
function setBoth(
  batch: RemoteBatch,
  tidAddress: bigint,
  { head, length }: { readonly head: bigint; readonly length: number },
): void {
  batch.must(SYS.set_tid_address, tidAddress);
  if (length > 0) batch.must(SYS.set_robust_list, head, length);
}
