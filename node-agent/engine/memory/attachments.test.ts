import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VmaStatus } from '../image/messages/enums.ts';
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import { attachmentsOf, gapsIn } from './attachments.ts';

const PAGE = 4096n;

const area = (page: number, pages: number, shmid: number, offset: number): VmaEntry => ({
  start: BigInt(page) * PAGE,
  end: BigInt(page + pages) * PAGE,
  pgoff: BigInt(offset) * PAGE,
  shmid: BigInt(shmid),
  prot: 3,
  flags: 1,
  status: VmaStatus.REGULAR | VmaStatus.ANON_SHARED | VmaStatus.SYSVIPC,
  fd: -1n,
});

test('the parts of one attachment belong together, another one of the same segment does not', () => {
  const vmas = [area(10, 2, 5, 0), area(14, 1, 5, 4), area(20, 2, 5, 0), area(30, 1, 0, 0)];
  const found = attachmentsOf({ vmas } as unknown as MmEntry);
  assert.deepEqual(
    found.map(({ shmid, base, areas }) => [shmid, base / PAGE, areas.length]),
    [
      [5, 10n, 2],
      [5, 20n, 1],
      [0, 30n, 1],
    ],
  );
});

test('what was cut out of an attachment is found between and behind its parts', () => {
  const pages = (start: number, end: number) => ({ start: BigInt(start), end: BigInt(end) });
  const parts = [pages(12, 14), pages(16, 18)];
  assert.deepEqual(gapsIn(pages(10, 20), parts), [pages(10, 12), pages(14, 16), pages(18, 20)]);
  assert.deepEqual(gapsIn(pages(12, 18), parts), [pages(14, 16)]);
  assert.deepEqual(gapsIn(pages(1, 2), []), [pages(1, 2)]);
});
