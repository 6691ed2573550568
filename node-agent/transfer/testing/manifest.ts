// The last word of a transfer, of files and nothing else.
import { encodeManifest, type Manifest, type ManifestFile } from '../../bundle/manifest.ts';
import { TEST_REQUIREMENTS } from '../../bundle/testing/volume.ts';

export function manifestOf(files: readonly ManifestFile[]): Buffer {
  const manifest: Manifest = {
    format: 'diapause-bundle',
    schemaVersion: 1,
    engine: { name: 'diapause', version: 'test' },
    createdAt: '2026-01-01T00:00:00Z',
    owner: { namespace: 'team', name: 'c', uid: 'u' },
    pod: { namespace: 'team', name: 'p', uid: 'u' },
    node: 'node-a',
    containers: [],
    requirements: TEST_REQUIREMENTS,
    report: [],
    files,
  };
  return Buffer.from(encodeManifest(manifest));
}
