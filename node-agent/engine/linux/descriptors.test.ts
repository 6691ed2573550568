import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { descriptorRoom } from '../../../test/victims/descriptor-room.ts';
import { closeFd, reserveDescriptors } from './descriptors.ts';
import { O, openPath } from './file-facts.ts';

test('room for descriptors is made once, and stays', () => {
  const before = descriptorRoom('self');
  const lowest = openPath('/dev/null', O.RDONLY);
  closeFd(lowest);
  reserveDescriptors(before * 2);
  assert.equal(descriptorRoom('self'), before * 2);
  const next = openPath('/dev/null', O.RDONLY);
  closeFd(next);
  assert.equal(next, lowest, 'it takes no number away');
});

test('where the limit of open files is lower, as much room as it allows is made', () => {
  const [descriptors, room] = ['./descriptors.ts', '../../../test/victims/descriptor-room.ts'].map(
    (path) => fileURLToPath(new URL(path, import.meta.url)),
  );
  const script = `
    const { reserveDescriptors } = await import('${descriptors}');
    const { descriptorRoom } = await import('${room}');
    reserveDescriptors(16384);
    process.stdout.write(String(descriptorRoom('self')));`;
  const command = ['-c', 'ulimit -n 1000 && exec "$@"', 'sh', process.execPath];
  const told = execFileSync('sh', [...command, '--input-type=module', '-e', script]);
  assert.equal(Number(told), 512);
});
