// Pods of the demo's programs as sources: they notice themselves whatever a checkpoint does to them.
import { type PodSketch, pod as sketchedPod } from '../../../deploy/demo/manifests.ts';
import type { Container, PodSpec } from '../../../src/cluster/pod.ts';

/** A few hundred kilobytes, blocked futexes of every kind; `deploy/demo/futex.ts` judges what it says. */
export const WITNESS_IMAGE = 'demo/futex:dev';
export const PYTHON_IMAGE = 'demo/python:dev';

export interface PodManifest {
  readonly metadata: { readonly name: string };
  readonly spec: PodSpec;
}

export interface WitnessOptions {
  readonly name?: string;
  readonly nodeName?: string;
  /** merged into the container */
  readonly container?: Partial<Container>;
  /** merged into the spec */
  readonly spec?: Partial<PodSpec>;
}

/** The witness as a pod. */
export function witness(options: WitnessOptions = {}): PodManifest {
  const { name = 'witness', nodeName = 'node-a' } = options;
  return withChanges({ name, nodeName, image: WITNESS_IMAGE }, options);
}

/**
 * A Python program with incompressible memory that keeps counting; its answer to SIGTERM is to end.
 *
 * @param mebibytes of random anonymous memory, all touched before the pod is ready
 */
export function ballast(mebibytes: number, options: WitnessOptions = {}): PodManifest {
  const { name = 'ballast', nodeName = 'node-a' } = options;
  const program = `
import os, time
block = os.urandom(1 << 20)
ballast = bytearray(${mebibytes} << 20)
for at in range(${mebibytes}):
    ballast[at << 20 : (at + 1) << 20] = at.to_bytes(8, "little") + block[8:]
open("/work/filled", "w").close()
beats, longest, last = 0, 0.0, time.monotonic()
while True:
    time.sleep(0.002)
    now = time.monotonic()
    longest, last, beats = max(longest, now - last), now, beats + 1
    if beats % 250 == 0:
        print(f"beats {beats} longest {longest * 1000:.1f}", flush=True)
`;
  const command = ['/usr/bin/python3', '-c', program];
  const exec = { command: ['/usr/bin/python3', '-c', 'open("/work/filled")'] };
  const readinessProbe = { exec, periodSeconds: 1, timeoutSeconds: 5 };
  const sketch = { name, nodeName, image: PYTHON_IMAGE, command, readinessProbe };
  return withChanges(sketch, options);
}

function withChanges(sketch: PodSketch, { container, spec }: WitnessOptions): PodManifest {
  const manifest = sketchedPod(sketch) as PodManifest;
  const containers = manifest.spec.containers.map((one) => ({ ...one, ...container }));
  return { ...manifest, spec: { ...manifest.spec, containers, ...spec } };
}
