// What the engine is asked for. Pure.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DumpPayload } from '../../crds/node-task.ts';
import type { HeldContainers } from './containers.ts';
import type { DumpContext } from './dump.ts';
import { engineTask } from './dump-processes.ts';

test('Keep means the connections within the pod: the engine locks none', () => {
  for (const [established, asked] of [
    ['Fail', 'Fail'],
    ['Close', 'Close'],
    ['Keep', 'KeepPairs'],
  ] as const) {
    const dump: Partial<DumpPayload> = { established, afterDump: 'Resume' };
    const context = { spec: { dump } } as unknown as DumpContext;
    const containers: Pick<HeldContainers, 'all'> = { all: [] };
    const task = engineTask(context, containers as HeldContainers, new Map());
    assert.equal(task.establishedSockets, asked);
  }
});
