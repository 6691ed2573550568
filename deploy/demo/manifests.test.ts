// What is applied is what was meant: kubectl reads YAML 1.1.
import assert from 'node:assert/strict';
import test from 'node:test';
import { parse } from 'yaml';
import { toYaml } from './manifests.ts';

test('words that mean something to kubectl stay words', () => {
  const container = { command: ['redis-server', '--appendonly', 'yes', 'off', '1:30', '017'] };
  assert.deepEqual(parse(toYaml(container), { version: '1.1' }), container);
});
