// Any error as one that says what to do next (pure).
import { ApiError, isAlreadyExists, isForbidden, isInvalid } from '../kube/api-error.ts';
import { WaitTimeout } from '../kube/wait.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-codes.ts';

/** The server's words for a path that it does not serve: the CRDs are not there. */
const UNKNOWN_KIND = 'the server could not find the requested resource';

export function explain(error: unknown): CliError {
  if (error instanceof CliError) {
    return error;
  }
  if (error instanceof WaitTimeout) {
    return new CliError(
      error.message,
      'the work goes on; wait again with a longer --timeout, or look at it with kubectl diapause status',
      EXIT.timeout,
    );
  }
  if (error instanceof ApiError) {
    return new CliError(error.message, adviceFor(error));
  }
  return new CliError(
    error instanceof Error ? error.message : String(error),
    'this should not happen; run it again with DIAPAUSE_TRACE=1 and report what it prints',
  );
}

/** Whether the API server does not know the kind at all. */
export function isUnknownKind(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404 && error.detail.includes(UNKNOWN_KIND);
}

function adviceFor(error: ApiError): string {
  if (error.status === 0) {
    return 'the API server does not answer: is it the right one? Try kubectl cluster-info, or choose another with --context';
  }
  if (isUnknownKind(error)) {
    return 'Diapause is not installed in this cluster: kubectl apply --server-side -k deploy/base';
  }
  if (error.status === 401) {
    return 'the credentials are not accepted: log in again, or choose others with --context';
  }
  if (isForbidden(error)) {
    return forbidden(error);
  }
  if (error.status === 404) {
    return 'see what there is with kubectl diapause status; another namespace is chosen with -n';
  }
  if (isAlreadyExists(error)) {
    return 'choose another name with --name';
  }
  if (isInvalid(error)) {
    return 'correct the field that the message names';
  }
  return 'try again; if it stays so, look at the API server';
}

function forbidden({ verb, resource, namespace = 'NAMESPACE', detail }: ApiError): string {
  // The admission policy for Restores says by itself which role is needed.
  if (detail.includes('diapause-restore')) {
    return `whoever administers ${namespace} can give it: kubectl create rolebinding NAME -n ${namespace} --clusterrole diapause-restore --user YOU`;
  }
  return `ask for the right to ${verb} ${resource}: the ClusterRoles diapause-view and diapause-edit belong to view and edit`;
}
