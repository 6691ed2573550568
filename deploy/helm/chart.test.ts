// The Helm chart gives the objects of deploy/base, and changes only what its values say.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  findHelm,
  findKubectl,
  type Manifest,
  manifestsIn,
  renderBase,
  renderChart,
} from './chart.ts';

const helm = findHelm();
const kubectl = findKubectl();
const missing =
  helm !== undefined && kubectl !== undefined
    ? false
    : `${helm === undefined ? 'helm' : 'kubectl'} is not here; make programs gets it`;

function chart(...values: readonly string[]): ReadonlyMap<string, Manifest> {
  const { status, stderr, text } = renderChart(helm ?? '', values);
  assert.equal(status, 0, stderr);
  return manifestsIn(text);
}

/** What differs between two renderings, by kind and name, sorted. */
function differences(
  a: ReadonlyMap<string, Manifest>,
  b: ReadonlyMap<string, Manifest>,
): readonly string[] {
  const text = (manifest: Manifest | undefined): string => JSON.stringify(sorted(manifest));
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((key) => text(a.get(key)) !== text(b.get(key)))
    .toSorted((left, right) => (left < right ? -1 : 1));
}

/** With keys in alphabetical order: neither program keeps ours. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(sorted);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}

describe('the chart', { skip: missing }, () => {
  it('gives the objects of deploy/base', () => {
    const { status, stderr, text } = renderBase(kubectl ?? '');
    assert.equal(status, 0, stderr);
    const base = manifestsIn(text);
    assert.ok(base.size > 20, String(base.size));
    assert.deepEqual(differences(chart('crds.keep=false'), base), []);
  });

  it('keeps the kinds when it is uninstalled', () => {
    const crds = [...chart().values()].filter(({ kind }) => kind === 'CustomResourceDefinition');
    assert.ok(crds.length >= 4);
    for (const { metadata } of crds) {
      assert.equal(metadata.annotations?.['helm.sh/resource-policy'], 'keep', metadata.name);
    }
  });

  it('leaves out the policy that older clusters do not know if asked to', () => {
    const without = chart('adoption=false');
    const left = [...chart().keys()].filter((key) => !without.has(key));
    assert.deepEqual(left.sort(), [
      'MutatingAdmissionPolicy /diapause-adoption',
      'MutatingAdmissionPolicyBinding /diapause-adoption',
    ]);
  });

  it('changes what its values say and nothing else', () => {
    const changed = chart(
      'images.agent.repository=registry.example/agent',
      'images.init.tag=v1',
      'imagePullPolicy=Always',
      'imagePullSecrets[0].name=key',
      'agent.nodeSelector.disk=fast',
      'agent.resources.limits.memory=2Gi',
    );
    const agent = JSON.stringify(changed.get('DaemonSet diapause-system/diapause-agent'));
    for (const part of [
      '"registry.example/agent:dev"',
      '"diapause.dev/init:v1"',
      '"Always"',
      '{"name":"key"}',
      '{"disk":"fast"}',
      '{"memory":"2Gi"}',
    ]) {
      assert.ok(agent.includes(part), part);
    }
    assert.deepEqual(differences(changed, chart()), [
      'DaemonSet diapause-system/diapause-agent',
      'Deployment diapause-system/diapause-controller',
    ]);
    const controller = chart('controller.replicas=3', 'controller.logLevel=debug');
    assert.deepEqual(differences(controller, chart()), [
      'Deployment diapause-system/diapause-controller',
    ]);
    const text = JSON.stringify(controller.get('Deployment diapause-system/diapause-controller'));
    assert.match(text, /"replicas":3/);
    assert.match(text, /\{"name":"LOG_LEVEL","value":"debug"\}/);
  });

  it('leaves out what would be in the way', () => {
    assert.deepEqual(differences(chart('controller.replicas=1'), chart()), [
      'Deployment diapause-system/diapause-controller',
      'PodDisruptionBudget diapause-system/diapause-controller',
    ]);
    assert.deepEqual(differences(chart('createNamespace=false'), chart()), [
      'Namespace /diapause-system',
    ]);
  });

  it('refuses values that it does not know, by name', () => {
    for (const value of [
      'controler.replicas=3',
      'controller.replicas=0',
      'imagePullPolicy=Sometimes',
    ]) {
      const { status, stderr } = renderChart(helm ?? '', [value]);
      assert.notEqual(status, 0, value);
      assert.match(stderr, /controler|replicas|imagePullPolicy/);
    }
  });
});
