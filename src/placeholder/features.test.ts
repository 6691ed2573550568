// Which versions bring the init how.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Node } from '../cluster/types.ts';
import { node } from '../testing/builders.ts';
import { minorVersion, placeholderFeatures } from './features.ts';

function nodeWith(kubeletVersion: string, containerRuntimeVersion = 'containerd://2.4.2'): Node {
  const base = node();
  const nodeInfo = { ...base.status?.nodeInfo, kubeletVersion, containerRuntimeVersion };
  return { ...base, status: { ...base.status, nodeInfo } };
}

describe('placeholderFeatures', () => {
  for (const [what, server, nodes, imageVolume, containerRestartPolicy] of [
    ['all new', 'v1.37.2', [nodeWith('v1.37.2')], true, true],
    ['server too old for images', 'v1.35.0', [nodeWith('v1.35.0')], false, true],
    ['server too old for both', 'v1.34.9', [nodeWith('v1.34.9')], false, false],
    ['an older kubelet', 'v1.37.2', [nodeWith('v1.37.2'), nodeWith('v1.34.0')], false, false],
    ['an older containerd', 'v1.37.2', [nodeWith('v1.37.2', 'containerd://1.7.20')], false, true],
    ['another runtime', 'v1.37.2', [nodeWith('v1.37.2', 'cri-o://1.36.0')], false, true],
    ['no node known', 'v1.37.2', [], false, false],
  ] as const) {
    it(what, () =>
      assert.deepEqual(placeholderFeatures(server, nodes), { imageVolume, containerRestartPolicy }),
    );
  }

  it('reads versions with and without suffixes', () => {
    assert.equal(minorVersion('v1.37.2'), 37);
    assert.equal(minorVersion('v1.36.1-gke.100'), 36);
    assert.equal(minorVersion('1.35+'), 35);
    assert.equal(minorVersion(''), 0);
  });
});
