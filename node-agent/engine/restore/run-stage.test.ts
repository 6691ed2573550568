import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runStage } from './under-construction.ts';

test('all processes are set going before the first is waited for', () => {
  const steps: string[] = [];
  const process = (name: string) => ({
    begin: (stage: string) => void steps.push(`${name} begins ${stage}`),
    end: () => void steps.push(`${name} ends`),
  });
  runStage([process('a'), process('b')], 'final');
  assert.deepEqual(steps, ['a begins final', 'b begins final', 'a ends', 'b ends']);
});
