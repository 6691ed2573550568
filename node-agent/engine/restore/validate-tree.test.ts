// Facts of hostile trees that are refused before anything is looked up by them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImageError } from '../image/image-error.ts';
import type { PstreeEntry } from '../image/messages/inventory.ts';
import { validatePstree, validateThreads } from './validate-tree.ts';

const entry = (pid: number, ppid: number, threads = [pid]): PstreeEntry => ({
  pid,
  ppid,
  pgid: 5,
  sid: 5,
  threads,
});

const validate = (entries: readonly PstreeEntry[]): void => {
  validatePstree(entries);
  for (const one of entries) validateThreads(one);
};

test('a tree whose parents come first', () => {
  validate([entry(5, 0, [5, 6]), entry(7, 5), entry(8, 7)]);
});

const REFUSED: readonly (readonly [string, readonly PstreeEntry[]])[] = [
  ['nobody', []],
  ['pid 0', [entry(0, 0)]],
  ['a pid that no kernel gives', [entry(5_000_000, 0)]],
  ['a child before its parent', [entry(5, 0), entry(8, 7), entry(7, 5)]],
  ['a parent outside of the tree', [entry(5, 0), entry(6, 99)]],
  ['its own parent', [entry(5, 0), entry(6, 6)]],
  ['a pid twice', [entry(5, 0), entry(6, 5), entry(6, 5)]],
  ['a thread twice', [entry(5, 0, [5, 6, 6])]],
  ['a thread that no kernel gives', [entry(5, 0, [5, 5_000_000])]],
  ['no threads', [entry(5, 0, [])]],
  ['another leader', [entry(5, 0, [6, 5])]],
  ['a session that no kernel gives', [{ ...entry(5, 0), sid: 0xffff_ffff }]],
];

for (const [what, entries] of REFUSED) {
  test(`${what} is refused`, () => {
    assert.throws(() => validate(entries), ImageError);
  });
}
