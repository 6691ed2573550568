// What is kept of a saved pod.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { container, pod } from '../testing/builders.ts';
import { podTemplate, redactedManifest } from './template.ts';

describe('podTemplate', () => {
  it('drops annotations that belong to one life of a pod', () => {
    const annotations = { note: 'x', 'cni.projectcalico.org/podIP': '10.0.0.1/32' };
    assert.deepEqual(podTemplate(pod({}, { annotations })).metadata, {
      labels: { app: 'redis' },
      annotations: { note: 'x' },
    });
  });
});

describe('redactedManifest', () => {
  it('holds no value of an environment variable', () => {
    const source = pod({
      containers: [container({ env: [{ name: 'PASSWORD', value: 'hunter2' }] })],
    });
    const text = JSON.stringify(redactedManifest(source));
    assert.match(text, /PASSWORD/);
    assert.doesNotMatch(text, /hunter2/);
  });
});
