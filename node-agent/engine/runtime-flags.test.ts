import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { test } from 'node:test';
import { RUNTIME_FLAGS } from './runtime-flags.ts';

/** What the registers, messages and batches of some hundred threads take, all of it soon garbage. */
const PROGRAM = `
  for (let i = 0, kept; i < 8192; i++) kept = new Array(126).fill(i);
`;

/** How often the memory for young objects is cleaned while the program runs. */
function scavenges(flags: readonly string[]): number {
  const args = ['--trace-gc', ...flags, '-e', PROGRAM];
  return execFileSync(process.execPath, args, { encoding: 'utf8' }).match(/Scavenge/g)?.length ?? 0;
}

test('8 MiB of young objects are not cleaned', () => {
  assert.ok(scavenges([]) > 0, 'the runtime does so by itself: the flags can go');
  assert.equal(scavenges(RUNTIME_FLAGS), 0);
});

test("the command with CRIU's options starts its engine the same way", () => {
  const command = readFileSync(new URL('../../bin/criu', import.meta.url), 'utf8');
  for (const flag of RUNTIME_FLAGS) assert.ok(command.includes(` ${flag} `), flag);
});
