// Sizes of folders: files count once, links never, other things not at all.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderBytes } from './folder-size.ts';

test('regular files count, at any depth; links and pipes do not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'folder-size-'));
  const outside = mkdtempSync(join(tmpdir(), 'folder-size-'));
  try {
    writeFileSync(join(outside, 'large'), Buffer.alloc(10_000));
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    writeFileSync(join(folder, 'one'), Buffer.alloc(100));
    writeFileSync(join(folder, 'a/b/two'), Buffer.alloc(23));
    symlinkSync(outside, join(folder, 'a/elsewhere'));
    symlinkSync(join(outside, 'large'), join(folder, 'large'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const { signal } = new AbortController();
    assert.equal(await folderBytes(folder, signal), 123);
    await assert.rejects(folderBytes(join(folder, 'a/elsewhere'), signal), /ENOTDIR|ELOOP/);
    await assert.rejects(folderBytes(folder, AbortSignal.abort(new Error('stop'))), /stop/);
  } finally {
    rmSync(folder, { recursive: true });
    rmSync(outside, { recursive: true });
  }
});
