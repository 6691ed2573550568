import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineFailure } from '../engine/protocol.ts';
import { failureOfEngine, reportOf } from './engine-failure.ts';

const REFUSAL = {
  code: 'IoUring',
  severity: 'refusal',
  pid: 7,
  object: 'fd 3',
  advice: 'x',
} as const;

for (const [failure, code, retryable] of [
  [{ code: 'StoreFull' }, 'StoreFull', false],
  [{ code: 'StoreIo' }, 'StoreUnavailable', true],
  [{ code: 'FreezeLimit' }, 'FreezeLimitExceeded', false],
  [{ code: 'Unstoppable' }, 'PodBusy', true],
  [{ code: 'PidTaken' }, 'PidTaken', true],
  [{ code: 'ImageDamaged' }, 'BundleInvalid', false],
  [{ code: 'CpuFeatureMissing', findings: [REFUSAL] }, 'CpuFeatureMissing', false],
  [{ code: 'IoUring', findings: [REFUSAL] }, 'Unsupported', false],
  [{ code: 'SystemCallFailed', call: 'ptrace(SEIZE)', errno: 'EPERM' }, 'PodBusy', true],
  [{ code: 'SystemCallFailed', call: 'openat', errno: 'EPERM' }, 'EngineFailed', false],
  [{ code: 'SystemCallFailed', errno: 'ESRCH' }, 'ContainerNotRunning', false],
  [{ code: 'SomethingNew' }, 'EngineFailed', false],
] as const satisfies readonly (readonly [Partial<EngineFailure>, string, boolean])[]) {
  test(`${JSON.stringify(failure)} becomes ${code}`, () => {
    const told = failureOfEngine({ message: 'm', ...failure }, 'app');
    assert.equal(told.code, code);
    assert.equal(told.retryable, retryable);
    assert.equal(told.message, 'm');
  });
}

test('a finding names container, process, thread and object', () => {
  const findings = [
    { ...REFUSAL, tid: 9 },
    { ...REFUSAL, tid: 7, tree: 'sidecar' },
  ];
  assert.deepEqual(
    reportOf(findings, 'app').map(({ container, pid, message }) => [container, pid, message]),
    [
      ['app', 7, 'thread 9: fd 3: x'],
      ['sidecar', 7, 'fd 3: x'],
    ],
  );
  const told = failureOfEngine({ code: 'X', message: 'm', findings: findings.slice(1) }, '');
  assert.equal(told.message, 'container sidecar: m');
});
