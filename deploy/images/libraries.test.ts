// Which libraries a layer gets: read from real programs of this machine, provided from made-up packages.
import assert from 'node:assert/strict';
import { readFileSync, realpathSync } from 'node:fs';
import process from 'node:process';
import test from 'node:test';
import { debianArchitecture } from './debian.ts';
import { readLinkage } from './elf.ts';
import { FileTree } from './file-tree.ts';
import { addLibraries, MissingLibraryError } from './libraries.ts';

const { triplet } = debianArchitecture();
const program = readFileSync(process.execPath);

/** A package with an empty file, or what is given, for a library. */
function library(name: string, data: Buffer = Buffer.alloc(0)): FileTree {
  const tree = new FileTree();
  tree.addFile(`/lib/${triplet}/${name}`, data);
  return tree;
}

test('a program names its libraries and its dynamic linker', () => {
  const linkage = readLinkage(program);
  assert.ok(linkage?.libraries.includes('libc.so.6'));
  assert.match(linkage?.interpreter ?? '', /\/ld-linux-/);
});

test('what is not an ELF program has no linkage', () => {
  assert.equal(readLinkage(Buffer.from('#!/bin/sh\n')), undefined);
  assert.equal(readLinkage(Buffer.alloc(100)), undefined);
});

test('a layer gets all that is asked for, with links, and nothing else', () => {
  const linkage = readLinkage(program);
  const sources = (linkage?.libraries ?? []).map((name) => library(name));
  const linker = new FileTree();
  linker.addFile('/real/linker', '');
  linker.add(linkage?.interpreter ?? '', { type: 'symlink', target: '/real/linker' });
  const layer = new FileTree();
  layer.addFile('/app', program);
  addLibraries(layer, [...sources, linker, library('unneeded.so')], [], triplet);
  for (const name of linkage?.libraries ?? []) {
    assert.ok(layer.get(`/usr/lib/${triplet}/${name}`), name);
  }
  assert.ok(layer.get('/real/linker'));
  assert.equal(layer.get(`/usr/lib/${triplet}/unneeded.so`), undefined);
});

test('libraries of libraries are found, and those below are not repeated', () => {
  const libstdcxx = readFileSync(realpathSync(`/usr/lib/${triplet}/libc.so.6`));
  const linkage = readLinkage(libstdcxx);
  const below = new FileTree();
  for (const name of linkage?.libraries ?? []) {
    below.addFile(`/usr/lib/${triplet}/${name}`, '');
  }
  if (linkage?.interpreter !== undefined) {
    below.addFile(linkage.interpreter, '');
  }
  const layer = new FileTree();
  layer.addFile(`/usr/lib/${triplet}/libc.so.6`, libstdcxx);
  const before = layer.sorted().length;
  addLibraries(layer, [], [below], triplet);
  assert.equal(layer.sorted().length, before);
});

test('a library that no package has is named, with the program that needs it', () => {
  const layer = new FileTree();
  layer.addFile('/app', program);
  assert.throws(
    () => addLibraries(layer, [], [], triplet),
    (error) => error instanceof MissingLibraryError && error.neededBy === '/app',
  );
});

test('a library that a program keeps elsewhere is not looked for', () => {
  const [first = '', ...rest] = readLinkage(program)?.libraries ?? [];
  const layer = new FileTree();
  layer.addFile('/app', program);
  layer.addFile(`/usr/lib/app/own/${first}`, '');
  const linker = new FileTree();
  linker.addFile(readLinkage(program)?.interpreter ?? '', '');
  layer.addFile(`/usr/lib/app/own${readLinkage(program)?.interpreter}`, '');
  const sources = [linker, ...rest.map((name) => library(name))];
  addLibraries(layer, sources, [], triplet);
  assert.equal(layer.get(`/usr/lib/${triplet}/${first}`), undefined);
  assert.ok(layer.get(readLinkage(program)?.interpreter ?? ''), 'the kernel looks in one place');
  const without = new FileTree();
  without.addFile('/app', program);
  assert.throws(() => addLibraries(without, sources, [], triplet), MissingLibraryError);
});
