// Chains of filters: what threads have in common, and what seccomp.img may hold.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImageError } from '../image/image-error.ts';
import { IMAGES } from '../image/image-files.ts';
import { coreEntry } from '../image/messages/core.ts';
import type { SeccompFilter } from '../image/messages/security.ts';
import { ImageReader } from '../image/reader.ts';
import { ScratchDirectory } from '../image/testing/scratch.ts';
import { ImageWriter } from '../image/writer.ts';
import { newRecord } from './process-tree.ts';
import type { ProcessRecord } from './records.ts';
import {
  commonPrefix,
  type Filter,
  type FilterChain,
  readFilterChains,
  seccomp,
} from './seccomp.ts';

const FILTER_MODE = 2;
const filter = (byte: number, flags = 0): Filter => ({
  program: new Uint8Array(16).fill(byte),
  flags,
});
const [a, b, c] = [filter(1), filter(2), filter(3)];

test('the filters that threads have in common are the oldest ones', () => {
  assert.deepEqual(
    commonPrefix([
      [a, b],
      [a, b, c],
      [a, b],
    ]),
    [a, b],
  );
  assert.deepEqual(
    commonPrefix([
      [a, b],
      [a, c],
    ]),
    [a],
  );
  assert.deepEqual(commonPrefix([[a, b], [b]]), []);
  assert.deepEqual(commonPrefix([[filter(1, 2)], [a]]), [], 'a filter that logs is another one');
  assert.deepEqual(commonPrefix([[a], []]), []);
});

function recordOf(chains: readonly FilterChain[]): ProcessRecord {
  const record: ProcessRecord = {
    ...newRecord({ nsPid: 7, status: { nsPgids: [7], nsSids: [7] } } as never, 1),
    threads: chains.map((filters, i) => ({
      tid: 7 + i,
      core: { threadInfo: {}, threadCore: { seccompMode: FILTER_MODE }, filters },
    })),
  };
  return record;
}

const coreWith = (newest: number) =>
  ({ threadCore: { seccompMode: FILTER_MODE, seccompFilter: newest } }) as never;

test('each filter is written once, each chain comes back', () => {
  using scratch = new ScratchDirectory();
  const chains = [[a, b], [a, c], [], [a, b]];
  const record = recordOf(chains);
  const writer = new ImageWriter(scratch.path);
  seccomp.complete?.([record], writer);
  writer.seal();
  using reader = new ImageReader(scratch.path);
  assert.equal(reader.single(IMAGES.seccomp).seccompFilters.length, 3);
  const chainOf = readFilterChains(reader);
  for (const [i, chain] of chains.entries()) {
    const { threadCore } = record.threads[i]!.core;
    const read = chainOf(
      coreEntry.complete({ mtype: 1, threadCore: { futexRla: 0n, futexRlaLen: 0, ...threadCore } }),
    );
    assert.deepEqual(
      read.map(({ program }) => program[0]),
      chain.map(({ program }) => program[0]),
    );
  }
});

function chainsIn(filters: readonly SeccompFilter[], newest: number): FilterChain {
  using scratch = new ScratchDirectory();
  const writer = new ImageWriter(scratch.path);
  writer.append(IMAGES.seccomp, { seccompFilters: filters });
  writer.seal();
  using reader = new ImageReader(scratch.path);
  return readFilterChains(reader)(coreWith(newest));
}

test('chains that no kernel would have accepted are refused', () => {
  const program = new Uint8Array(16);
  const cases: readonly (readonly [string, SeccompFilter[], number])[] = [
    ['no such filter', [{ filter: program }], 1],
    ['a filter that is its own older one', [{ filter: program, prev: 0 }], 0],
    ['half an instruction', [{ filter: new Uint8Array(12) }], 0],
    ['no instruction', [{ filter: new Uint8Array(0) }], 0],
    ['too many instructions', [{ filter: new Uint8Array(8 * 4097) }], 0],
  ];
  for (const [what, filters, newest] of cases) {
    assert.throws(() => chainsIn(filters, newest), ImageError, what);
  }
});
