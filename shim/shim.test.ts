// What is committed is what the sources give, and the build refuses what must not be in it.
import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { build, compilerMajor, render } from './generate.ts';
import * as generated from './shim.generated.ts';

const PAGE_BYTES = 4096;
const temporary = mkdtempSync(join(tmpdir(), 'shim-'));
after(() => rmSync(temporary, { recursive: true }));

const compiler = spawnSync('cc', ['-dumpversion']).status === 0;
const noCompiler = compiler ? false : 'there is no C compiler (cc) on this machine';

function otherCompiler(): string | false {
  if (noCompiler) return noCompiler;
  const major = compilerMajor();
  return (
    major !== generated.compilerMajor &&
    `cc has major version ${major}, the committed bytes come from ${generated.compilerMajor}`
  );
}

/** Builds a copy of the sources with something added to one of them; what the build says. */
function buildWith(file: string, addition: string): { status: number | null; message: string } {
  const copy = mkdtempSync(join(temporary, 'source-'));
  cpSync(import.meta.dirname, copy, { recursive: true });
  appendFileSync(join(copy, file), addition);
  const made = spawnSync('make', ['-C', copy, `BUILD=${join(copy, 'out')}`], { encoding: 'utf8' });
  return { status: made.status, message: made.stdout + made.stderr };
}

test('a rebuild gives the committed bytes', { skip: otherCompiler() }, () => {
  const text = render(build(join(temporary, 'rebuilt')));
  assert.equal(text, readFileSync(join(import.meta.dirname, 'shim.generated.ts'), 'utf8'));
});

test('the layouts that others are written against stay', () => {
  assert.equal(generated.OP_SIZE, 72);
  assert.deepEqual(generated.OP, { nr: 0, a: 8, ret: 56, refs: 64, flags: 68 });
  assert.equal(generated.CONTROL_SIZE, 256);
  const { n, done, pid, tid, sig, mask, r15, rdi, rip, flags, rsp, ops } = generated.CONTROL;
  assert.deepEqual(
    [n, done, pid, tid, sig, mask, r15, rdi, rip, flags, rsp, ops],
    [0, 4, 8, 16, 24, 32, 40, 152, 160, 168, 176, 184],
  );
});

test('the interpreter fits into one page, the init into half of one, the page server into two', () => {
  assert.equal(generated.interpreter.entry, 0);
  assert.ok(Buffer.from(generated.interpreter.bytesBase64, 'base64').length <= PAGE_BYTES);
  assert.ok(Buffer.from(generated.init.bytesBase64, 'base64').length <= PAGE_BYTES / 2);
  assert.ok(Buffer.from(generated.pages.bytesBase64, 'base64').length <= 2 * PAGE_BYTES);
});

test('the linked programs have neither relocations nor writable sections', {
  skip: noCompiler,
}, () => {
  const folder = join(temporary, 'linked');
  build(folder);
  for (const name of ['interpreter.elf', 'diapause-init', 'diapause-pages']) {
    const read = (option: string): string =>
      execFileSync('readelf', ['-W', option, join(folder, name)], { encoding: 'utf8' });
    assert.match(read('-r'), /There are no relocations in this file/);
    assert.doesNotMatch(read('-S'), /\.(data|bss|got|plt)/);
    assert.doesNotMatch(read('-l'), /LOAD .* RWE|INTERP|DYNAMIC/);
  }
});

test('the build refuses writable data and relocations', { skip: noCompiler }, () => {
  const writable = '\n__attribute__((used)) static int writable = 1;\n';
  const relocated = '\n__attribute__((used)) static const char *const table[] = {"a"};\n';
  const zeroed = '\n__attribute__((used)) static int zeroed;\n';
  for (const addition of [writable, relocated, zeroed]) {
    const { status, message } = buildWith('interpreter.c', addition);
    assert.notEqual(status, 0);
    assert.match(message, /must not have writable data/);
  }
  for (const addition of [writable, zeroed]) {
    const { status, message } = buildWith('init.c', addition);
    assert.notEqual(status, 0);
    // Newer linkers complain first.
    assert.match(message, /writable section|RWX permissions/);
  }
  assert.equal(buildWith('init.c', '\n').status, 0);
});
