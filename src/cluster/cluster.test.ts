// The small readers of cluster objects: agents, probe failures, pods that cannot be saved.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agent, container, INIT_IMAGE, NOW, pod, time } from '../testing/builders.ts';
import { agentOn, agentsOf } from './agents.ts';
import type { Pod } from './pod.ts';
import { watchingProbes } from './probe-failures.ts';
import type { CoreEvent } from './types.ts';
import { unsupportedPod } from './unsupported-pod.ts';

describe('agentsOf', () => {
  it('finds nodes with agents and the image of the init there', () => {
    assert.deepEqual(agentsOf([agent(), pod()]), [
      { nodeName: 'node-a', podName: 'diapause-agent-node-a', ready: true, initImage: INIT_IMAGE },
    ]);
  });

  it('believes no pod outside of its own namespace', () => {
    const forged: Pod = { ...agent(), metadata: { ...agent().metadata, namespace: 'shop' } };
    assert.deepEqual(agentsOf([forged]), []);
  });

  it('prefers the ready one of two during an update', () => {
    const agents = agentsOf([agent('node-a', false), agent('node-a')]);
    assert.equal(agentOn(agents, 'node-a')?.ready, true);
    assert.equal(agentOn(agents, 'node-b'), undefined);
  });
});

describe('watchingProbes', () => {
  const probe = { httpGet: {}, periodSeconds: 10, timeoutSeconds: 1 };
  const watched = pod({
    containers: [container({ livenessProbe: probe, startupProbe: { exec: {} } })],
  });
  const failures = (events: readonly CoreEvent[], of = watched): number | undefined =>
    watchingProbes(of, ['main'], events, NOW)[0]?.failures;

  it('takes the liveness probe once the container has started, before that the startup probe', () => {
    assert.deepEqual(watchingProbes(watched, ['main'], [], NOW)[0]?.probe, probe);
    const [status] = watched.status?.containerStatuses ?? [];
    assert.ok(status);
    const starting = { ...watched, status: { containerStatuses: [{ ...status, started: false }] } };
    assert.deepEqual(watchingProbes(starting, ['main'], [], NOW)[0]?.probe, { exec: {} });
    assert.deepEqual(watchingProbes(watched, ['other'], [], NOW), []);
  });

  for (const [what, event, count] of [
    ['one failure just now', unhealthy(1, -3, -3), 1],
    ['several in a row', unhealthy(2, -13, -3), 2],
    ['an old failure', unhealthy(1, -60, -60), 0],
    ['many over a long time: at most one a period', unhealthy(500, -25, -5), 3],
    ['a failing readiness probe', unhealthy(3, -3, -3, 'Readiness probe failed: x'), 0],
    [
      'another container',
      unhealthy(1, -3, -3, 'Liveness probe failed: x', 'spec.containers{x}'),
      0,
    ],
  ] as const) {
    it(`${what}: ${count}`, () => assert.equal(failures([event]), count));
  }

  it('adds up failures that said different things', () => {
    const events = [unhealthy(1, -13, -13, 'Liveness probe failed: a'), unhealthy(1, -3, -3)];
    assert.equal(failures(events), 2);
  });
});

describe('unsupportedPod', () => {
  const special = (fields: object): Pod => pod(fields);
  for (const [what, subject] of [
    ['hostPID', special({ hostPID: true })],
    ['hostIPC', special({ hostIPC: true })],
    ['static', pod({}, { annotations: { 'kubernetes.io/config.source': 'file' } })],
    ['Windows', special({ os: { name: 'windows' } })],
    ['shareProcessNamespace', special({ shareProcessNamespace: true })],
    ['hostUsers', special({ hostUsers: false })],
    [
      'ephemeral',
      {
        ...pod(),
        status: { ephemeralContainerStatuses: [{ name: 'debug', state: { running: {} } }] },
      },
    ],
  ] as const) {
    it(`names ${what}`, () => assert.match(unsupportedPod(subject) ?? '', new RegExp(what)));
  }

  it('has nothing against an ordinary pod', () => {
    assert.equal(unsupportedPod(pod()), undefined);
    assert.equal(unsupportedPod(special({ hostNetwork: true, os: { name: 'linux' } })), undefined);
  });
});

function unhealthy(
  count: number,
  first: number,
  last: number,
  message = 'Liveness probe failed: x',
  fieldPath = 'spec.containers{main}',
): CoreEvent {
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'x' },
    reason: 'Unhealthy',
    message,
    count,
    firstTimestamp: time(first),
    lastTimestamp: time(last),
    involvedObject: { fieldPath },
  };
}
