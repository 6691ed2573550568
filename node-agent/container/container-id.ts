// Container ids as pods' statuses have them. An empty or short id would match processes of the whole machine
// (cluster/PROOFS.md 3), so nothing but 64 hex digits passes.
import { TaskFailure } from '../task-failure.ts';

export interface ContainerId {
  /** `containerd`, `cri-o`, `docker` */
  readonly runtime: string;
  readonly hex: string;
}

const CONTAINER_ID = /^([a-z][a-z0-9-]*):\/\/([0-9a-f]{64})$/;

/** Reads `<runtime>://<64 hex digits>`. @throws TaskFailure ContainerMismatch */
export function parseContainerId(text: string, container: string): ContainerId {
  const match = CONTAINER_ID.exec(text);
  if (match === null) {
    const facts = `container ${container}: ${JSON.stringify(text)} is not <runtime>://<64 hex digits>`;
    throw new TaskFailure('ContainerMismatch', facts);
  }
  return { runtime: match[1] as string, hex: match[2] as string };
}
