// What every refusal and every failure owes its user.
import assert from 'node:assert/strict';
import { type Reason, REASONS } from '../../../crds/conditions.ts';
import type { Check } from '../../../deploy/demo/check.ts';
import type { Condition } from '../../../crds/meta.ts';
import { findCondition } from '../../../kube/conditions.ts';
import type { Pod } from '../../../src/cluster/pod.ts';
import { processesOf } from './node-processes.ts';
import { verdict } from './scene.ts';

interface Conditioned {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

/** It failed for this reason, for good, and its message ends with what the user can do. */
export function assertFailed(object: Conditioned, says: RegExp): void {
  assert.match(verdict(object), says);
  const failed = findCondition(object.status?.conditions, 'Failed');
  const ready = findCondition(object.status?.conditions, 'Ready');
  assert.deepEqual([failed?.status, ready?.status], ['True', 'False']);
  const { reason = '', message = '' } = failed ?? {};
  assert.ok(Object.hasOwn(REASONS, reason), `${reason} is not one of the documented reasons`);
  assert.ok(message.endsWith(REASONS[reason as Reason].action), `no advice: ${message}`);
  assert.ok(!/\n\s+at /.test(message), `a stack trace is no message: ${message}`);
}

/** The same containers as before, none restarted, no process stopped. */
export function assertUnharmed(before: Pod, after: Pod): void {
  const facts = ({ metadata, status }: Pod) => ({
    uid: metadata.uid,
    containers: status?.containerStatuses?.map(({ name, containerID, restartCount }) => ({
      name,
      containerID,
      restartCount,
    })),
  });
  assert.deepEqual(facts(after), facts(before));
  for (const { name } of after.status?.containerStatuses ?? []) {
    const stopped = processesOf(after, name).filter(({ state }) => /[tTZX]/.test(state));
    assert.deepEqual(stopped, [], `stopped or dead processes in ${after.metadata.name}`);
  }
}

/** Every check of the demo's judges. */
export function assertHolds(checks: readonly Check[]): void {
  const wrong = checks.filter(({ passed }) => !passed);
  assert.deepEqual(
    wrong.map(({ what, facts }) => `${what}: ${facts}`),
    [],
  );
}
