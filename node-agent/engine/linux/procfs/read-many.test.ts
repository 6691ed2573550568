import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readSmallFiles } from './read-many.ts';

const base = mkdtempSync(join(tmpdir(), 'diapause-read-many-'));
after(() => rmSync(base, { recursive: true, force: true }));

function fileOf(name: string, text: string): string {
  const path = join(base, name);
  writeFileSync(path, text, 'latin1');
  return path;
}

test('more files than one batch has room for, in their order', () => {
  const paths = Array.from({ length: 100 }, (_, i) => fileOf(`small-${i}`, `text ${i}\n`));
  assert.deepEqual(
    readSmallFiles(paths),
    paths.map((_, i) => `text ${i}\n`),
  );
});

test('what is long or has a long name is whole, what is gone is undefined, nothing is left open', () => {
  const long = fileOf('long', 'x'.repeat(20_000));
  const deep = fileOf('n'.repeat(200), 'deep');
  const gone = join(base, 'gone');
  for (let round = 0; round < 100; round++) {
    const texts = readSmallFiles([long, gone, deep, '/proc/self/comm', fileOf('empty', '')]);
    assert.deepEqual(
      texts.map((text) => text?.length),
      [20_000, undefined, 4, texts[3]?.length, 0],
    );
    assert.match(texts[3] ?? '', /\n$/);
  }
  const [status] = readSmallFiles(['/proc/self/status']);
  assert.ok(Number(/^FDSize:\s*(\d+)$/m.exec(status ?? '')?.[1]) <= 256);
});
