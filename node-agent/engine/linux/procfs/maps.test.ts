import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';
import { type Mapping, parseMaps, readKnownMaps, readSmaps } from './maps.ts';

test('a mapping of before is known by its line, one that is not is read', () => {
  const before = readSmaps(process.pid);
  const known = new Map(before.map((mapping): [string, Mapping] => [mapping.line, mapping]));
  const vdso = before.find(({ name }) => name === '[vdso]');
  assert.ok(vdso && vdso.flags.size > 0);
  assert.equal(
    readKnownMaps(process.pid, known).find(({ name }) => name === '[vdso]'),
    vdso,
  );
  known.delete(vdso.line);
  const read = readKnownMaps(process.pid, known).find(({ name }) => name === '[vdso]');
  assert.deepEqual(read, parseMaps(vdso.line)[0]);
});
