// Waits for a Checkpoint or a Restore and tells what it does meanwhile, from its conditions and its progress.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Condition } from '../../crds/meta.ts';
import type { Kubectl } from './kubectl.ts';
import { formatBytes, type Narrator } from './narrator.ts';

const POLL_MILLIS = 300;

interface Followed {
  readonly metadata: { readonly name: string };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly progress?: {
      readonly stage: string;
      readonly bytesDone: number;
      readonly bytesTotal: number;
    };
  };
}

export type Outcome =
  | { readonly state: 'ready' }
  | { readonly state: 'failed'; readonly message: string }
  | { readonly state: 'going on'; readonly line: string };

/** What the conditions say in one line. */
export function judge(object: Followed): Outcome {
  const conditions = object.status?.conditions ?? [];
  const failed = conditions.find(({ type, status }) => type === 'Failed' && status === 'True');
  if (failed !== undefined) {
    return { state: 'failed', message: `${failed.reason}: ${failed.message}` };
  }
  const ready = conditions.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True') {
    return { state: 'ready' };
  }
  const progress = object.status?.progress;
  const bytes =
    progress !== undefined && progress.bytesTotal > 0
      ? `, ${formatBytes(progress.bytesDone)} of ${formatBytes(progress.bytesTotal)}`
      : '';
  return { state: 'going on', line: `${ready?.reason ?? 'Pending'}${bytes}` };
}

/**
 * Polls until the object is ready.
 * @throws Error when it failed, with its own words, or when the time is over
 */
export async function follow<Kind extends Followed>(
  kubectl: Kubectl,
  narrator: Narrator,
  type: string,
  name: string,
  timeoutMillis: number,
): Promise<Kind> {
  const deadline = performance.now() + timeoutMillis;
  let told = '';
  while (performance.now() < deadline) {
    const object = await kubectl.get<Kind>(type, name);
    const outcome = judge(object);
    if (outcome.state === 'ready') {
      return object;
    }
    if (outcome.state === 'failed') {
      throw new Error(`${type} ${name} failed: ${outcome.message}`);
    }
    if (outcome.line !== told) {
      narrator.say(`    ${name}: ${outcome.line}`);
      told = outcome.line;
    }
    await sleep(POLL_MILLIS);
  }
  throw new Error(
    `${type} ${name} is not ready after ${timeoutMillis / 1000} s (${told}): kubectl -n diapause-demo describe ${type} ${name}`,
  );
}
