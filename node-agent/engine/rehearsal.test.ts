import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { descriptorRoom } from '../../test/victims/descriptor-room.ts';
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

/** What an engine of its own looks like when it could be given a task. */
async function whenReady<T>(look: (pid: number) => T): Promise<T> {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const engine = spawn(process.execPath, [main], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [line] = (await once(engine.stdout.setEncoding('utf8'), 'data')) as [string];
    assert.match(line, /"ready"/);
    return look(engine.pid!);
  } finally {
    engine.kill('SIGKILL');
  }
}

test('an engine that is ready has room for thousands of descriptors', async () => {
  const hardLimit = Number(execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }));
  const room = await whenReady(descriptorRoom);
  assert.ok(room >= 16_384 || room > hardLimit / 2, `room for ${room}, limit ${hardLimit}`);
});
