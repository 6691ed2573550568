// What the API server (or the way to it) said no with, as facts. Source: metav1.Status, API conventions.

/** What a request was about, for messages and for whoever handles the error. */
export interface RequestSubject {
  readonly verb: string;
  /** `<plural>.<group>`, or a raw path */
  readonly resource: string;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

export interface ApiErrorFacts extends RequestSubject {
  /** HTTP status; 0 when no answer came */
  readonly status: number;
  /** metav1.StatusReason, or ConnectionFailed or TimedOut when no answer came */
  readonly reason: string;
  readonly detail: string;
  readonly retryAfterSeconds?: number | undefined;
  readonly cause?: unknown;
}

export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly verb: string;
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly objectName: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** the server's own sentence, without what we asked for */
  readonly detail: string;

  constructor(facts: ApiErrorFacts) {
    const where = [facts.namespace, facts.name].filter((part) => part !== undefined).join('/');
    const subject = `${facts.verb} ${facts.resource}${where === '' ? '' : ` ${where}`}`;
    const code = facts.status === 0 ? facts.reason : `${facts.status} ${facts.reason}`;
    super(`${subject}: ${code}: ${facts.detail}`, { cause: facts.cause });
    this.name = 'ApiError';
    this.status = facts.status;
    this.reason = facts.reason;
    this.verb = facts.verb;
    this.resource = facts.resource;
    this.namespace = facts.namespace;
    this.objectName = facts.name;
    this.retryAfterSeconds = facts.retryAfterSeconds;
    this.detail = facts.detail;
  }
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

interface StatusBody {
  readonly kind?: unknown;
  readonly code?: unknown;
  readonly reason?: unknown;
  readonly message?: unknown;
  readonly details?: { readonly retryAfterSeconds?: unknown } | null;
}

/**
 * The error for an answer that is not a success.
 * @param body answer as text; a metav1.Status, or whatever a proxy in between wrote
 * @param retryAfter value of the Retry-After header in seconds, if any
 */
export function errorFromAnswer(
  subject: RequestSubject,
  status: number,
  body: string,
  retryAfter?: string,
): ApiError {
  return errorFromStatus(subject, parseStatus(body), { status, body, retryAfter });
}

/** The error in an ERROR event of a watch: there the code stands in the Status itself. */
export function errorFromStatusObject(subject: RequestSubject, object: unknown): ApiError {
  const body = typeof object === 'object' && object !== null ? (object as StatusBody) : {};
  const status = typeof body.code === 'number' ? body.code : 500;
  return errorFromStatus(subject, body, { status, body: JSON.stringify(object) ?? '' });
}

function parseStatus(body: string): StatusBody {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null && 'kind' in parsed ? parsed : {};
  } catch {
    return {};
  }
}

function errorFromStatus(
  subject: RequestSubject,
  parsed: StatusBody,
  answer: { status: number; body: string; retryAfter?: string | undefined },
): ApiError {
  const given =
    typeof parsed.reason === 'string' && parsed.reason !== '' ? parsed.reason : undefined;
  const detail =
    typeof parsed.message === 'string' ? parsed.message : answer.body.slice(0, 300).trim();
  return new ApiError({
    ...subject,
    status: answer.status,
    reason: given ?? REASONS[answer.status] ?? 'Unknown',
    detail: detail === '' ? 'no explanation given' : detail,
    retryAfterSeconds: retryAfterSeconds(parsed.details?.retryAfterSeconds, answer.retryAfter),
  });
}

function retryAfterSeconds(fromBody: unknown, fromHeader: string | undefined): number | undefined {
  const seconds = fromHeader === undefined ? fromBody : Number(fromHeader);
  return typeof seconds === 'number' && Number.isFinite(seconds) && seconds > 0
    ? seconds
    : undefined;
}

function hasReason(error: unknown, ...reasons: readonly string[]): boolean {
  return error instanceof ApiError && reasons.includes(error.reason);
}

/** No such object (or no such kind: the same status). */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

/** Somebody else wrote first, or owns a field that server-side apply did not force. */
export function isConflict(error: unknown): boolean {
  return hasReason(error, 'Conflict');
}

export function isAlreadyExists(error: unknown): boolean {
  return hasReason(error, 'AlreadyExists');
}

/** RBAC, an admission policy or a quota refused it. */
export function isForbidden(error: unknown): boolean {
  return error instanceof ApiError && error.status === 403;
}

/** The object does not pass its schema or a CEL rule: trying again cannot help. */
export function isInvalid(error: unknown): boolean {
  return error instanceof ApiError && error.status === 422;
}

/**
 * A refusal that passes: an API server that has just started asks admission policies before it knows the resources that
 * they speak of (k8s.io/apiserver, pkg/admission/plugin/policy/generic).
 */
export function isPolicyUnready(error: unknown): boolean {
  return error instanceof ApiError && /failed to configure (policy|binding)/.test(error.detail);
}

/** The resourceVersion (or the continue token) is too old: list again. */
export function isGone(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 410 || error.reason === 'Expired');
}

/** Worth trying again unchanged: no answer, overload, or a server-side failure. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500)
  );
}
