// The page server's decisions, compiled for this machine; what it does is tried by engine/restore/lazy-pages.test.ts.
import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'pages-'));
after(() => rmSync(folder, { recursive: true }));
const compiler = spawnSync('cc', ['-dumpversion']).status === 0;
const skip = compiler ? false : 'there is no C compiler (cc) on this machine';

test('a page is found wherever it was moved to, and where nothing is left', { skip }, () => {
  const program = join(folder, 'changes');
  const sources = ['test/pages/changes.c', 'pages/changes.c'].map((file) =>
    join(import.meta.dirname, file),
  );
  execFileSync('cc', [
    '-std=gnu17',
    '-O1',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-o',
    program,
    ...sources,
  ]);
  assert.equal(execFileSync(program, { encoding: 'utf8' }), 'wrong 0\n');
});
