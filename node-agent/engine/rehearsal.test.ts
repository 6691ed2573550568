import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { rehearse } from './rehearsal.ts';

enterPrivateNamespaces();

const folders = (): string[] =>
  [tmpdir(), '/dev/shm'].flatMap((parent) =>
    readdirSync(parent).filter((name) => name.startsWith('diapause-rehearsal-')),
  );

const standIns = (): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/comm`, 'latin1').startsWith('stand-in')
      );
    } catch {
      return false;
    }
  });

test('a rehearsal comes to its end, and leaves nothing', () => {
  const before = folders();
  assert.equal(rehearse(), true);
  assert.deepEqual(folders(), before);
  assert.deepEqual(standIns(), []);
});
