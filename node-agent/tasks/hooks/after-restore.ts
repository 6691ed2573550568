// What is asked of a restored pod once its processes run: the post hooks, then the probe. Their failures end nothing: the
// processes are the application now. They are told, and the pod does not become ready.
import type { RestorePayload, Verification } from '../../../crds/node-task.ts';
import type { Report } from '../../../crds/meta.ts';
import { pause, systemClock } from '../../../kube/clock.ts';
import { Deadline } from '../../../kube/deadline.ts';
import { messageOf } from '../../task-failure.ts';
import { HandOver } from '../task-context.ts';
import { type ActionContext, perform } from './action.ts';
import { type HookOutcome, runHooks } from './run-hooks.ts';

const PROBE_PAUSE_MILLIS = 500;
/** One try; the whole is limited by the probe's own time. */
const PROBE_TRY_SECONDS = 5;

/** What the engine and the agent have compared already. */
export interface Compared {
  readonly bundleDigest: string;
  readonly processes: number;
  readonly comparedPages: number;
  readonly savedPages: number;
}

export interface Afterwards {
  readonly verification: Verification;
  readonly notes: readonly Report[];
}

type Wanted = Pick<RestorePayload, 'hooks' | 'probe'>;

/** @throws HandOver: the successor asks again */
export async function askRestored(
  { hooks, probe }: Wanted,
  compared: Compared,
  context: ActionContext & { readonly stage: (name: string) => void },
): Promise<Afterwards> {
  const post = hooks?.post ?? [];
  let outcome: HookOutcome = { notes: [], failure: undefined };
  let probed: string | undefined;
  try {
    if (post.length > 0) {
      context.stage('post-hooks');
      outcome = await runHooks(post, 'post', context);
    }
    if (probe !== undefined && outcome.failure === undefined) {
      context.stage('probing');
      probed = await untilPassed(probe, context);
    }
  } catch (error) {
    if (error instanceof HandOver) {
      throw error;
    }
    probed = messageOf(error);
  }
  const { failure, notes } = outcome;
  const facts = { hookProblem: failure?.message, probeProblem: probed, hasProbe: !!probe };
  return { notes, verification: verificationOf(compared, facts) };
}

/** @returns what was wrong when the time was over */
async function untilPassed(
  probe: NonNullable<RestorePayload['probe']>,
  context: ActionContext,
): Promise<string | undefined> {
  using deadline = new Deadline(probe.timeoutSeconds * 1000, context.signal);
  const timeoutSeconds = Math.min(PROBE_TRY_SECONDS, probe.timeoutSeconds);
  let last = 'no answer';
  for (;;) {
    try {
      await perform(probe, timeoutSeconds, { ...context, signal: deadline.signal });
      return undefined;
    } catch (error) {
      context.signal.throwIfAborted();
      if (deadline.expired) {
        return `not within ${probe.timeoutSeconds} s: ${last}`;
      }
      last = messageOf(error);
    }
    await pause(systemClock, PROBE_PAUSE_MILLIS, deadline.signal);
  }
}

interface Problems {
  readonly hookProblem: string | undefined;
  readonly probeProblem: string | undefined;
  readonly hasProbe: boolean;
}

/** Says what was compared, and only that. Pure. */
export function verificationOf(
  { bundleDigest, processes, comparedPages, savedPages }: Compared,
  { hookProblem, probeProblem, hasProbe }: Problems,
): Verification {
  const pages = `${comparedPages} of ${savedPages} saved pages of ${processes} ${processes === 1 ? 'process' : 'processes'}`;
  const always = `every file of the bundle has its digest (manifest ${bundleDigest}); ${pages} were read back before the threads began`;
  if (hookProblem !== undefined) {
    return { passed: false, reason: 'HookFailed', message: `${hookProblem}; ${always}` };
  }
  if (probeProblem !== undefined) {
    const message = `spec.verify.probe: ${probeProblem}; ${always}`;
    return { passed: false, reason: 'ProbeFailed', message };
  }
  const probed = hasProbe ? 'spec.verify.probe passed' : 'no probe was asked for';
  return { passed: true, reason: 'Verified', message: `${always}; ${probed}` };
}
