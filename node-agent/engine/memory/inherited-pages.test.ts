// What of two contents differs, found by halves; checked against a look at every page.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { subtract } from './address-space.ts';
import { differences } from './inherited-pages.ts';

const PAGE = 4096;

function contents(pages: number, changed: readonly number[]): [Buffer, Buffer] {
  const a = Buffer.alloc(pages * PAGE, 7);
  const b = Buffer.from(a);
  // First, last and any other byte of a page count the same
  changed.forEach((page, i) => {
    b[page * PAGE + [0, PAGE - 1, 100][i % 3]!]! ^= 1;
  });
  return [a, b];
}

describe('pages that differ', () => {
  for (const pages of [1, 2, 3, 7, 16, 33]) {
    test(`of ${pages}`, () => {
      for (let step = 1; step <= pages + 1; step++) {
        const changed = Array.from({ length: pages }, (_, i) => i).filter((i) => i % step === 1);
        const found = [...differences(...contents(pages, changed))];
        assert.deepEqual(
          found.map(({ start, end }) => [start, end]),
          changed.map((page) => [page * PAGE, (page + 1) * PAGE]),
        );
      }
    });
  }
});

test('a span less others', () => {
  const span = (start: number, end: number) => ({ start: BigInt(start), end: BigInt(end) });
  const cases = [
    [[span(0, 10)], [], [span(0, 10)]],
    [[span(0, 10)], [span(0, 10)], []],
    [[span(0, 10)], [span(3, 4), span(6, 20)], [span(0, 3), span(4, 6)]],
    [[span(0, 10), span(20, 30)], [span(5, 25)], [span(0, 5), span(25, 30)]],
    [
      [span(5, 10), span(20, 30)],
      [span(0, 5), span(10, 20)],
      [span(5, 10), span(20, 30)],
    ],
    [[span(0, 4), span(4, 8)], [span(2, 6)], [span(0, 2), span(6, 8)]],
  ] as const;
  for (const [spans, without, want] of cases) assert.deepEqual(subtract(spans, without), want);
});
