// wait: until objects are ready, have failed, or are gone. kubectl wait cannot wait for either of two ends.
import { findCondition } from '../../kube/conditions.ts';
import { waitForObject } from '../../kube/wait.ts';
import { OUTPUT_OPTION, type OutputFormat } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';
import { EXIT } from '../exit-codes.ts';
import { DEFAULT_WAIT_MILLIS, follow } from '../follow.ts';
import { type DiapauseObject, type NamedObject, namedObjects } from '../kinds.ts';
import { printed } from '../output/print.ts';
import { type ProgressView, progressView } from '../output/progress.ts';
import type { Session } from '../session.ts';

type Goal = 'ready' | 'deleted' | { readonly condition: string };

export const waitVerb: Verb = {
  name: 'wait',
  summary: 'Wait until objects are ready; stop as soon as one has failed',
  positionals: [{ name: 'TYPE/NAME', required: true, repeated: true, completes: 'object' }],
  options: [
    { name: 'for', value: 'GOAL', help: 'ready (else), deleted, or condition=TYPE' },
    {
      name: 'timeout',
      value: 'DURATION',
      help: 'Stop waiting after this time, like 90s or 10m; the work goes on',
    },
    OUTPUT_OPTION,
  ],
  examples: [
    'wait checkpoint/redis-1',
    'wait rst/redis-back --timeout 2m',
    'wait chk/redis-1 --for condition=Captured',
  ],
  async run(args, session) {
    const objects = namedObjects(args.positionals, 'wait');
    const goal = goalOf(args.text('for') ?? 'ready');
    if (goal === undefined) {
      throw args.wrong(`--for: "${args.text('for')}" is none of ready, deleted, condition=TYPE`);
    }
    const timeoutMillis = args.durationMillis('timeout') ?? DEFAULT_WAIT_MILLIS;
    const format = args.text('output') as OutputFormat | undefined;
    const { namespace } = await session.connect();
    // Two bars would paint over each other.
    const io = objects.length > 1 ? { ...session.io, columns: undefined } : session.io;
    using view = progressView(io);
    const waits = objects.map(async (object) => {
      const seen = await reach(session, object, { goal, namespace, timeoutMillis, view });
      view[Symbol.dispose]();
      session.io.out(
        format !== undefined && seen !== undefined
          ? printed(seen, format)
          : `${object.kind.singular}.diapause.dev/${object.name} ${sentence(goal)}\n`,
      );
    });
    await Promise.all(waits);
    return EXIT.done;
  },
};

function goalOf(text: string): Goal | undefined {
  if (text === 'ready' || text === 'deleted') {
    return text;
  }
  const condition = /^condition=([A-Za-z]+)$/.exec(text)?.[1];
  return condition === undefined ? undefined : { condition };
}

function sentence(goal: Goal): string {
  return typeof goal === 'string' ? goal : `has the condition ${goal.condition}`;
}

interface Reach {
  readonly goal: Goal;
  readonly namespace: string;
  readonly timeoutMillis: number;
  readonly view: ProgressView;
}

async function reach(
  session: Session,
  { kind, name }: NamedObject,
  { goal, namespace, timeoutMillis, view }: Reach,
): Promise<DiapauseObject | undefined> {
  const ref = { namespace, name };
  if (goal === 'ready') {
    return await follow(session, { kind, ref }, view, timeoutMillis);
  }
  const resource = await session.resource<DiapauseObject>(kind);
  const isReached = (seen: DiapauseObject | undefined): boolean =>
    goal === 'deleted'
      ? seen === undefined
      : findCondition(seen?.status?.conditions, goal.condition)?.status === 'True';
  return await waitForObject(resource, ref, isReached, { timeoutMillis, signal: session.signal });
}
