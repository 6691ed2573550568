// Verify: is a bundle still, byte for byte, the one that was sealed?
import type { TaskResult } from '../../crds/node-task.ts';
import { bundleBytes } from '../bundle/manifest.ts';
import { verifyBundle } from '../bundle/verify.ts';
import { openExistingBundle, openPlace } from './bundle-place.ts';
import { byteCounter } from './byte-counter.ts';
import type { SpecOf, TaskContext, TaskHandler } from './task-context.ts';

export const verifyHandler: TaskHandler<'Verify'> = {
  type: 'Verify',
  podUid: () => undefined,
  run: verify,
  resume: verify,
  abandon: () => Promise.resolve(),
};

async function verify(context: TaskContext<SpecOf<'Verify'>>): Promise<TaskResult> {
  const { store, bundleDigest } = context.spec.verify;
  context.progress.stage('opening-store');
  await using opened = await openPlace(context, store, false);
  await using bundle = await openExistingBundle(opened);
  const counter = byteCounter(context.progress, 'verifying');
  const manifest = await verifyBundle(bundle, {
    digest: bundleDigest,
    signal: opened.signal,
    ...counter,
  });
  return { bundleBytes: bundleBytes(manifest), bundleDigest };
}
