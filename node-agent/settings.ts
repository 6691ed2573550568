// What the agent is told by its environment (deploy/base): names of node and pod, where things lie.
import { join } from 'node:path';
import { DEFAULT_RUNTIME } from './container/runtime-client.ts';
import { RUNTIME_FLAGS } from './engine/runtime-flags.ts';
import type { Command } from './tasks/engine-process.ts';

export interface Settings {
  readonly nodeName: string;
  readonly agent: { readonly name: string; readonly uid: string };
  /** of our own pod */
  readonly podAddress: string;
  /** on the node's disk: outlives the pod */
  readonly stateFolder: string;
  readonly runtimeSockets: readonly string[];
  readonly healthPort: number;
  readonly maxParallel: number;
  readonly engineCommand: Command;
  readonly rootfsCommand: Command;
  readonly flockProgram: string;
  readonly version: string;
}

const DEFAULT_PORT = 8081;
const DEFAULT_PARALLEL = 8;

/**
 * Reads NODE_NAME, POD_NAME, POD_UID and POD_IP (downward API), and optionally DIAPAUSE_STATE_DIR, DIAPAUSE_RUNTIME_SOCKETS
 * (comma-separated), DIAPAUSE_HEALTH_PORT, DIAPAUSE_MAX_PARALLEL, DIAPAUSE_FLOCK, DIAPAUSE_VERSION.
 *
 * @param agentFile the running program: engine and rootfs worker lie beside it, or in its source tree
 * @throws Error naming the variable that is missing or wrong
 */
export function readSettings(env: NodeJS.ProcessEnv, agentFile: string): Settings {
  const folder = join(agentFile, '..');
  const isSource = agentFile.endsWith('.ts');
  const program = (source: string, bundled: string, flags: readonly string[] = []): Command => [
    process.execPath,
    ...flags,
    join(folder, isSource ? source : bundled),
  ];
  return {
    nodeName: required(env, 'NODE_NAME'),
    agent: { name: required(env, 'POD_NAME'), uid: required(env, 'POD_UID') },
    podAddress: required(env, 'POD_IP'),
    stateFolder: env['DIAPAUSE_STATE_DIR'] ?? '/var/lib/diapause',
    runtimeSockets:
      env['DIAPAUSE_RUNTIME_SOCKETS']?.split(',').filter(Boolean) ?? DEFAULT_RUNTIME.socketPaths,
    healthPort: integer(env, 'DIAPAUSE_HEALTH_PORT', DEFAULT_PORT),
    maxParallel: integer(env, 'DIAPAUSE_MAX_PARALLEL', DEFAULT_PARALLEL),
    engineCommand: program('engine/main.ts', 'engine.js', RUNTIME_FLAGS),
    rootfsCommand: program('bundle/rootfs-diff/worker.ts', 'rootfs.js'),
    flockProgram: env['DIAPAUSE_FLOCK'] ?? '/usr/bin/flock',
    version: env['DIAPAUSE_VERSION'] ?? 'dev',
  };
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (value === undefined || value === '') {
    throw new Error(`${name} is not set: give it to the agent by the downward API`);
  }
  return value;
}

function integer(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const value = Number(env[name] ?? fallback);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new Error(`${name}=${env[name]} is not a whole number`);
  }
  return value;
}
