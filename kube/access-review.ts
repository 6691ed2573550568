// Asks the API server whether somebody may do something (authorization.k8s.io/v1 SubjectAccessReview).
import type { TypedObject } from '../crds/meta.ts';
import type { Client } from './client.ts';
import type { CallOptions } from './resource-types.ts';

export interface AccessQuestion {
  readonly user: string;
  readonly groups?: readonly string[];
  readonly verb: string;
  readonly group: string;
  /** plural */
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

export interface AccessAnswer {
  readonly allowed: boolean;
  /** why, if the authorizer says so */
  readonly reason: string;
}

interface SubjectAccessReview extends TypedObject {
  readonly spec: object;
  readonly status?: { readonly allowed: boolean; readonly reason?: string };
}

/** @throws ApiError, for instance Forbidden if we may not even ask */
export async function reviewAccess(
  client: Client,
  question: AccessQuestion,
  options: CallOptions = {},
): Promise<AccessAnswer> {
  const { user, groups, ...resourceAttributes } = question;
  const reviews = client.resource<SubjectAccessReview>({
    group: 'authorization.k8s.io',
    version: 'v1',
    plural: 'subjectaccessreviews',
    namespaced: false,
  });
  const { status } = await reviews.create(
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      // Nothing is stored, so the object has no name.
      metadata: { name: '' },
      spec: { user, groups, resourceAttributes },
    },
    options,
  );
  return { allowed: status?.allowed === true, reason: status?.reason ?? '' };
}
