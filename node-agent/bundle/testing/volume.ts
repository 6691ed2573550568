// A folder of the machine that plays the part of a volume, for tests.
import { mkdtemp, rm } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Requirements } from '../../engine/protocol.ts';
import { Directory, Lease } from '../directory.ts';
import type { Manifest, ManifestFile } from '../manifest.ts';

export interface TestVolume extends AsyncDisposable {
  readonly path: string;
  readonly root: Directory;
  readonly lease: Lease;
}

export async function makeVolume(): Promise<TestVolume> {
  const path = await mkdtemp(join(tmpdir(), 'diapause-volume-'));
  const lease = new Lease();
  return {
    path,
    lease,
    root: await Directory.openTrusted(path, lease, 'volume'),
    async [Symbol.asyncDispose]() {
      await lease.drop(new Error('the test is over'));
      await rm(path, { recursive: true, force: true });
    },
  };
}

export const TEST_REQUIREMENTS: Requirements = {
  arch: arch(),
  kernelRelease: '5.10.0',
  vdsoBytes: 4096,
  vdsoDigest: 'none',
  xstateFeatures: '0x7',
  cpuFlags: ['constant_tsc', 'sse2'],
  monotonicNanos: '0',
  boottimeNanos: '0',
  memoryBytes: 4096,
  threads: 1,
};

export function testManifest(files: readonly ManifestFile[]): Manifest {
  return {
    format: 'diapause-bundle',
    schemaVersion: 1,
    engine: { name: 'diapause', version: 'test' },
    createdAt: '2026-01-01T00:00:00Z',
    owner: { namespace: 'team', name: 'chk', uid: 'u-1' },
    pod: { namespace: 'team', name: 'pod', uid: 'u-2' },
    node: 'node-a',
    containers: [],
    requirements: TEST_REQUIREMENTS,
    report: [],
    files,
  };
}
