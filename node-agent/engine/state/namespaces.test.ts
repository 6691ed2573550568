// Namespaces of their own, as facts and in processes that have some.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { dumpTask, startEngine } from '../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { startVictim } from '../../../test/victims/victim.ts';
import { foreignNamespaces } from './namespaces.ts';

enterPrivateNamespaces();

const root = new Map([
  ['net', 'net:[1]'],
  ['pid', 'pid:[2]'],
  ['pid_for_children', 'pid:[2]'],
]);

test('what differs from the root is named', () => {
  const codes = (own: readonly (readonly [string, string])[]): string[] =>
    foreignNamespaces(7, new Map(own), root).map(({ object }) => object);
  assert.deepEqual(codes([...root]), []);
  assert.deepEqual(codes([['net', 'net:[9]']]), ['net -> net:[9]']);
  assert.deepEqual(codes([['pid_for_children', 'pid:[9]']]), ['pid_for_children -> pid:[9]']);
});

for (const [kind, file] of [
  ['net', 'net'],
  ['uts', 'uts'],
  ['time', 'time_for_children'],
] as const) {
  test(`a child with a ${kind} namespace of its own is refused, and runs on`, async () => {
    // Without --fork only the children of the program would live in the new time namespace.
    const script = `unshare --${kind} sh -c 'echo ready; while sleep 0.05; do echo tick; done' & wait`;
    using victim = await startVictim('/bin/sh', ['-c', script]);
    const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-namespaces-'));
    try {
      const { failure } = await startEngine(dumpTask(victim.pid, imagesDir)).ended;
      const found = failure?.findings?.filter(({ code }) => code === 'NestedNamespace') ?? [];
      assert.ok(
        found.some(({ object }) => object.startsWith(`${file} -> `)),
        JSON.stringify(failure),
      );
      const said = victim.output().length;
      await new Promise((resolve) => setTimeout(resolve, 1000));
      assert.ok(victim.output().length > said, 'it stands still');
    } finally {
      rmSync(imagesDir, { recursive: true, force: true });
    }
  });
}
