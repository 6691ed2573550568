// Names for completion, from the API server and the kubeconfig. Late or refused answers are no answers: nobody wants to
// read an error while pressing Tab.
import type { TypedObject } from '../../crds/meta.ts';
import type { ResourceType } from '../../kube/resource-types.ts';
import type { Named } from '../arguments/option.ts';
import { CHECKPOINT, LISTED_KINDS, SCHEDULE, STORE } from '../kinds.ts';
import type { Session } from '../session.ts';

const LIMIT_MILLIS = 3_000;
const core = (plural: string, namespaced: boolean): ResourceType => ({
  group: '',
  version: 'v1',
  plural,
  namespaced,
});

/** @returns nothing where nobody knows */
export async function namesOf(
  of: Exclude<Named, 'file'>,
  session: Session,
): Promise<readonly string[]> {
  switch (of) {
    case 'context':
      return await session.contexts();
    case 'namespace':
      return await list(session, core('namespaces', false));
    case 'node':
      return await list(session, core('nodes', false));
    case 'pod':
      return await list(session, core('pods', true));
    case 'checkpoint':
      return await list(session, CHECKPOINT.type);
    case 'schedule':
      return await list(session, SCHEDULE.type);
    case 'store':
      return await list(session, STORE.type);
    case 'object':
      return (
        await Promise.all(
          LISTED_KINDS.map(async ({ singular, type }) =>
            (await list(session, type)).map((name) => `${singular}/${name}`),
          ),
        )
      ).flat();
  }
}

async function list(session: Session, type: ResourceType): Promise<readonly string[]> {
  try {
    const { client, namespace } = await session.connect();
    const { items } = await client.resource<TypedObject>(type).list({
      ...(type.namespaced ? { namespace } : {}),
      timeoutMillis: LIMIT_MILLIS,
    });
    return items.map(({ metadata }) => metadata.name);
  } catch {
    return [];
  }
}
