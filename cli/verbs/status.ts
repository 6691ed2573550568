// status: what there is and how far it is; with names, everything about these objects.
import { isNotFound } from '../../kube/api-error.ts';
import { FACTS_OUTPUT_OPTION } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';
import { EXIT } from '../exit-codes.ts';
import { isUnknownKind } from '../explain.ts';
import { type DiapauseObject, type Kind, namedObjects, LISTED_KINDS } from '../kinds.ts';
import { document, tidy } from '../output/print.ts';
import type { Session } from '../session.ts';
import { describeObject } from './status/describe.ts';
import { listing } from './status/listing.ts';

export const statusVerb: Verb = {
  name: 'status',
  summary: 'Show what there is and how far it is',
  positionals: [{ name: 'TYPE/NAME', required: false, repeated: true, completes: 'object' }],
  options: [
    { name: 'all-namespaces', short: 'A', help: 'Objects of all namespaces' },
    FACTS_OUTPUT_OPTION,
  ],
  examples: ['status', 'status -A', 'status checkpoint/redis-1'],
  async run(args, session) {
    const everywhere = args.flag('all-namespaces');
    const { namespace } = await session.connect();
    const format = args.text('output') as 'json' | 'yaml' | undefined;
    const named = namedObjects(args.positionals, 'status');
    if (named.length > 0) {
      const objects = await Promise.all(
        named.map(async ({ kind, name }) =>
          (await session.resource<DiapauseObject>(kind)).get({ namespace, name }),
        ),
      );
      const now = Date.now();
      const tidied = objects.map(tidy);
      session.io.out(
        format === undefined
          ? objects.map((object) => describeObject(object, now)).join('\n')
          : document(tidied.length === 1 ? tidied[0] : tidied, format),
      );
      return EXIT.done;
    }
    const sections = await Promise.all(
      LISTED_KINDS.map((kind) => list(session, kind, everywhere ? undefined : namespace)),
    );
    const objects = sections.flat();
    if (format !== undefined) {
      session.io.out(
        document({ apiVersion: 'v1', kind: 'List', items: objects.map(tidy) }, format),
      );
    } else if (objects.length === 0) {
      session.io.err(
        `nothing here${everywhere ? '' : ` in namespace ${namespace}`}; kubectl diapause checkpoint POD saves a pod\n`,
      );
    } else {
      session.io.out(listing(objects, { everywhere, nowMillis: Date.now() }));
    }
    return EXIT.done;
  },
};

/** A kind that this cluster's older Diapause does not have is no error, as long as the first one is there. */
async function list(
  session: Session,
  kind: Kind,
  namespace: string | undefined,
): Promise<readonly DiapauseObject[]> {
  try {
    const resource = await session.resource<DiapauseObject>(kind);
    const { items } = await resource.list({ namespace, signal: session.signal });
    return items;
  } catch (error) {
    if (kind !== LISTED_KINDS[0] && isNotFound(error) && isUnknownKind(error)) {
      return [];
    }
    throw error;
  }
}
