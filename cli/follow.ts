// Waits for an object's work to end, and tells how far it is meanwhile.
import { isForbidden } from '../kube/api-error.ts';
import { findCondition } from '../kube/conditions.ts';
import type { ObjectRef } from '../kube/keys.ts';
import type { Resource } from '../kube/resource.ts';
import { waitForObject, WaitTimeout } from '../kube/wait.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-codes.ts';
import { type DiapauseObject, endOf, type NamedObject } from './kinds.ts';
import type { ProgressView } from './output/progress.ts';
import { WholeAndParts } from './parts.ts';
import type { Session } from './session.ts';

/** Longer than any of our objects may take by itself. */
export const DEFAULT_WAIT_MILLIS = 24 * 3600 * 1000;

export interface Followed {
  readonly kind: NamedObject['kind'];
  readonly ref: ObjectRef;
}

/**
 * @returns the object when it is ready
 * @throws CliError (exit 3) with the reason when it failed or went away, (exit 4) when the time is over,
 *   (exit 130) after Ctrl-C
 */
export async function follow<T extends DiapauseObject>(
  session: Session,
  { kind, ref }: Followed,
  view: ProgressView,
  timeoutMillis = DEFAULT_WAIT_MILLIS,
): Promise<T> {
  const resource: Resource<T> = await session.resource<T>(kind);
  const label = `${kind.singular}/${ref.name}`;
  // Fails at once, with the server's own words, where waiting would only say that nothing came.
  await resource.get(ref, { signal: session.signal });
  const refused = new AbortController();
  using progress = new WholeAndParts(session, view);
  try {
    const object = await waitForObject(resource, ref, (seen) => hasEnded(seen, label, progress), {
      timeoutMillis,
      signal: AbortSignal.any([session.signal, refused.signal]),
      onError: troubleTeller(view, refused),
    });
    return ready(object as T, label);
  } catch (error) {
    throw interpreted(error, label, session);
  }
}

/** Waiting outlives an API server that is away; who may not watch would wait for ever. */
function troubleTeller(view: ProgressView, refused: AbortController): (error: unknown) => void {
  const told = new Set<string>();
  return (error) => {
    if (isForbidden(error)) {
      refused.abort(error);
    } else if (error instanceof Error && !told.has(error.message)) {
      told.add(error.message);
      view.note(`still waiting: ${error.message}`);
    }
  };
}

function hasEnded(
  seen: DiapauseObject | undefined,
  label: string,
  progress: WholeAndParts,
): boolean {
  if (seen === undefined) {
    throw new CliError(
      `${label} was deleted`,
      'create it again if it is still wanted',
      EXIT.failed,
    );
  }
  progress.show(seen);
  return endOf(seen) !== undefined;
}

function ready<T extends DiapauseObject>(object: T, label: string): T {
  if (endOf(object) !== 'failed') {
    return object;
  }
  throw failure(object, label);
}

/** What a failed object says about itself; its messages end with advice. */
export function failure({ status }: DiapauseObject, label: string): CliError {
  const { reason = 'Failed', message = 'no reason given' } =
    findCondition(status?.conditions, 'Failed') ?? {};
  const refusals = status?.report?.some(({ severity }) => severity === 'refusal') ?? false;
  return new CliError(
    `${label} failed: ${reason}: ${message}`,
    refusals
      ? `what stands in the way: kubectl diapause report ${label}`
      : `what happened on the way: kubectl diapause logs ${label}`,
    EXIT.failed,
  );
}

function interpreted(error: unknown, label: string, session: Session): unknown {
  if (session.signal.aborted) {
    return new CliError(
      `stopped waiting for ${label}; the work goes on`,
      [
        `kubectl diapause wait ${label} waits again`,
        ...(/^(checkpoint|migration)\//.test(label)
          ? [
              `kubectl patch ${label.replace('/', '.diapause.dev/')} --type merge -p '{"spec":{"cancel":true}}' stops the work`,
            ]
          : []),
      ],
      EXIT.interrupted,
    );
  }
  if (error instanceof WaitTimeout) {
    const last = error.last as DiapauseObject | undefined;
    const reason = last && findCondition(last.status?.conditions, 'Ready');
    return new CliError(
      `${label} is not ready in time${reason === undefined ? '' : `: ${reason.reason}: ${reason.message}`}`,
      `the work goes on; kubectl diapause wait ${label} waits again`,
      EXIT.timeout,
    );
  }
  return error;
}
