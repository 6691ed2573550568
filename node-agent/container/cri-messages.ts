// The messages of the Container Runtime Interface that we use, with the field numbers of cri-api v1 (api.proto).
// Field names are those of the Go structs' JSON: that is how `status.dump` is written.
import protobuf from 'protobufjs';

const SCHEMA = `
syntax = "proto3";
package runtime.v1;
message ContainerStatusRequest { string container_id = 1; bool verbose = 2; }
message ContainerStatusResponse { ContainerStatus status = 1; map<string, string> info = 2; }
message ExecSyncRequest { string container_id = 1; repeated string cmd = 2; int64 timeout = 3; }
message ExecSyncResponse { bytes stdout = 1; bytes stderr = 2; int32 exit_code = 3; }
message ContainerMetadata { string name = 1; uint32 attempt = 2; }
message ImageSpec { string image = 1; map<string, string> annotations = 2; string user_specified_image = 18; string runtime_handler = 19; }
message Mount {
  string container_path = 1; string host_path = 2; bool readonly = 3; bool selinux_relabel = 4; int32 propagation = 5;
}
message ContainerStatus {
  string id = 1; ContainerMetadata metadata = 2; int32 state = 3;
  int64 created_at = 4; int64 started_at = 5; int64 finished_at = 6; int32 exit_code = 7;
  ImageSpec image = 8; string image_ref = 9; string reason = 10; string message = 11;
  map<string, string> labels = 12; map<string, string> annotations = 13;
  repeated Mount mounts = 14; string log_path = 15; string image_id = 17;
}
`;

const root = protobuf.parse(SCHEMA, { keepCase: true }).root;
const Request = root.lookupType('runtime.v1.ContainerStatusRequest');
const Response = root.lookupType('runtime.v1.ContainerStatusResponse');
const ExecRequest = root.lookupType('runtime.v1.ExecSyncRequest');
const ExecResponse = root.lookupType('runtime.v1.ExecSyncResponse');

/** CONTAINER_RUNNING */
export const STATE_RUNNING = 1;

/** Numbers of 64 bits come as decimal strings: nanoseconds do not fit into a double. */
export interface CriContainerStatus {
  readonly id: string;
  readonly metadata?: { readonly name: string; readonly attempt?: number };
  readonly state: number;
  readonly created_at?: string;
  readonly started_at?: string;
  readonly finished_at?: string;
  readonly image?: { readonly image: string };
  readonly image_ref?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly log_path?: string;
  readonly image_id?: string;
}

export interface CriStatusResponse {
  readonly status: CriContainerStatus;
  readonly info: Readonly<Record<string, string>>;
}

export function encodeStatusRequest(containerId: string): Uint8Array {
  return Request.encode(Request.create({ container_id: containerId, verbose: true })).finish();
}

export function decodeStatusResponse(bytes: Uint8Array): CriStatusResponse {
  const message = Response.toObject(Response.decode(bytes), { longs: String, defaults: false });
  const { status, info } = message as Partial<CriStatusResponse>;
  return { status: { id: '', state: 0, ...status }, info: info ?? {} };
}

/** For a runtime in tests. */
export function encodeStatusResponse(response: CriStatusResponse): Uint8Array {
  return Response.encode(Response.fromObject(response)).finish();
}

const NANOSECOND_FIELDS: ReadonlySet<string> = new Set(['created_at', 'started_at', 'finished_at']);

/** As Go's encoding/json writes the struct: 64-bit numbers in full. */
export function statusAsGoJson(status: CriContainerStatus): string {
  // JSON.rawJSON exists since Node 21; the type definitions do not know it yet.
  const { rawJSON } = JSON as typeof JSON & { rawJSON: (this: void, text: string) => unknown };
  return JSON.stringify(status, (key, value: unknown) =>
    NANOSECOND_FIELDS.has(key) && typeof value === 'string' && /^-?\d+$/.test(value)
      ? rawJSON(value)
      : value,
  );
}

export interface ExecRequest {
  readonly containerId: string;
  readonly command: readonly string[];
  /** the runtime kills the command then */
  readonly timeoutSeconds: number;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function encodeExecRequest({
  containerId,
  command,
  timeoutSeconds,
}: ExecRequest): Uint8Array {
  const request = { container_id: containerId, cmd: [...command], timeout: timeoutSeconds };
  return ExecRequest.encode(ExecRequest.create(request)).finish();
}

export function decodeExecResponse(bytes: Uint8Array): ExecResult {
  const message = ExecResponse.toObject(ExecResponse.decode(bytes), { defaults: true });
  const {
    stdout,
    stderr,
    exit_code: exitCode,
  } = message as {
    readonly stdout: Uint8Array;
    readonly stderr: Uint8Array;
    readonly exit_code: number;
  };
  return { exitCode, stdout: textOf(stdout), stderr: textOf(stderr) };
}

/** For a runtime in tests. */
export function decodeExecRequest(bytes: Uint8Array): ExecRequest {
  const message = ExecRequest.toObject(ExecRequest.decode(bytes), {
    longs: Number,
    defaults: true,
  });
  const {
    container_id: containerId,
    cmd,
    timeout,
  } = message as {
    readonly container_id: string;
    readonly cmd: readonly string[];
    readonly timeout: number;
  };
  return { containerId, command: cmd, timeoutSeconds: timeout };
}

/** For a runtime in tests. */
export function encodeExecResponse({ exitCode, stdout, stderr }: ExecResult): Uint8Array {
  const response = {
    exit_code: exitCode,
    stdout: Buffer.from(stdout),
    stderr: Buffer.from(stderr),
  };
  return ExecResponse.encode(ExecResponse.create(response)).finish();
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
