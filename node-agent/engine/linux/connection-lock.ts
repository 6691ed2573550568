// Locks TCP connections: their packets are dropped, so that both sides take what follows for a slow network. By nftables,
// else by iptables, for these connections only. Segments with our mark pass.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { inNetworkOf } from './network-namespace.ts';

/** The mark that CRIU's own segments carry. */
export const SEGMENT_MARK = 0xc114;
const TOOL_MILLIS = 20_000;

/** One connection as the locked side sees it; addresses as text. */
export interface Connection {
  readonly family: 4 | 6;
  readonly local: string;
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
}

/** How a lock is put on and taken off again, for sh(1). */
interface LockScript {
  readonly lock: string;
  readonly unlock: string;
}

export type LockTool = 'nftables' | 'iptables';
/** What is tried, in this order. */
export const LOCK_TOOLS: readonly LockTool[] = ['nftables', 'iptables'];

const IPTABLES = 'iptables';
const TABLE = /^CRIU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const scriptOf = (name: string, connections: readonly Connection[]): LockScript =>
  name === IPTABLES ? iptablesScript(connections) : nftScript(name, connections);

/** One table for all connections: it comes and goes as a whole. */
function nftScript(table: string, connections: readonly Connection[]): LockScript {
  const sets = ([4, 6] as const).flatMap((family) => {
    const of = connections.filter((c) => c.family === family);
    if (of.length === 0) return [];
    const ip = family === 4 ? 'ip' : 'ip6';
    const elements = of.map((c) => `${c.local} . ${c.localPort} . ${c.remote} . ${c.remotePort}`);
    return [
      `add set inet ${table} connections${family} { type ipv${family}_addr . inet_service . ipv${family}_addr . inet_service ; }`,
      `add element inet ${table} connections${family} { ${elements.join(', ')} }`,
      `add rule inet ${table} output ${ip} saddr . tcp sport . ${ip} daddr . tcp dport @connections${family} drop`,
      `add rule inet ${table} input ${ip} daddr . tcp dport . ${ip} saddr . tcp sport @connections${family} drop`,
    ];
  });
  const chains = ['output', 'input'].flatMap((hook) => [
    `add chain inet ${table} ${hook} { type filter hook ${hook} priority 0 ; }`,
    `add rule inet ${table} ${hook} meta mark 0x${SEGMENT_MARK.toString(16)} accept`,
  ]);
  const script = [`add table inet ${table}`, ...chains, ...sets].join('\n');
  return { lock: `nft -f - <<'END'\n${script}\nEND`, unlock: `nft delete table inet ${table}` };
}

function iptablesScript(connections: readonly Connection[]): LockScript {
  const rules = connections.flatMap((c) => {
    const tool = c.family === 4 ? 'iptables' : 'ip6tables';
    const mark = `-p tcp -m mark ! --mark 0x${SEGMENT_MARK.toString(16)} -j DROP`;
    const here = `${c.local} --sport ${c.localPort} -d ${c.remote} --dport ${c.remotePort}`;
    const there = `${c.remote} --sport ${c.remotePort} -d ${c.local} --dport ${c.localPort}`;
    return [
      [tool, `OUTPUT ${mark.replace('-p tcp', `-p tcp -s ${here}`)}`],
      [tool, `INPUT ${mark.replace('-p tcp', `-p tcp -s ${there}`)}`],
    ];
  });
  return {
    lock: rules.map(([tool, rule]) => `${tool} -w -I ${rule}`).join(' && '),
    unlock: rules.map(([tool, rule]) => `${tool} -w -D ${rule}`).join('; '),
  };
}

/**
 * A lock in the network namespace of a process. Should the engine die, a guard takes it off: it waits for a word or for
 * the end of its input.
 */
export class ConnectionLock {
  /** by which whoever restores the connections finds it: its table, or `iptables` */
  readonly name: string;
  readonly #pid: number;
  readonly #unlock: string;
  #guard: ChildProcess | undefined;

  private constructor(pid: number, name: string, unlock: string, guard: ChildProcess) {
    this.#pid = pid;
    this.name = name;
    this.#unlock = unlock;
    this.#guard = guard;
  }

  /**
   * @param tools the first that works is taken
   * @throws Error when none is there or the kernel refuses
   */
  static take(
    pid: number,
    connections: readonly Connection[],
    tools: readonly LockTool[],
  ): ConnectionLock {
    const complaints: string[] = [];
    for (const tool of tools) {
      const lock = ConnectionLock.#tryTool(pid, connections, tool);
      if (lock instanceof ConnectionLock) return lock;
      complaints.push(`${tool}: ${lock}`);
    }
    throw new Error(`connections cannot be locked: ${complaints.join('; ')}`);
  }

  /** @returns why not */
  static #tryTool(
    pid: number,
    connections: readonly Connection[],
    tool: LockTool,
  ): ConnectionLock | string {
    const name = tool === 'nftables' ? `CRIU-${randomUUID()}` : IPTABLES;
    const script = scriptOf(name, connections);
    return inNetworkOf(pid, () => {
      const guarded = `read -r word || { ${script.unlock}; }`;
      const guard = spawn('sh', ['-c', guarded], {
        stdio: ['pipe', 'ignore', 'ignore'],
        detached: true,
      });
      guard.on('error', () => {}).unref();
      const lock = new ConnectionLock(pid, name, script.unlock, guard);
      const { status, stderr } = runShell(script.lock);
      if (status === 0) return lock;
      lock.release();
      return stderr;
    });
  }

  /** Takes it off. */
  release(): void {
    if (!this.#guard) return;
    inNetworkOf(this.#pid, () => runShell(this.#unlock));
    this.leave();
  }

  /** Leaves it on for the restore. */
  leave(): void {
    this.#guard?.stdin?.on('error', () => {}).end('leave\n');
    this.#guard = undefined;
  }
}

/** Takes off what an earlier lock left in the network namespace of a process; nothing may be there. */
export function unlockConnections(
  pid: number,
  name: string,
  connections: readonly Connection[],
): void {
  // It comes from an image, and goes to a shell.
  if (name !== IPTABLES && !TABLE.test(name)) throw new Error(`not the name of a lock: ${name}`);
  inNetworkOf(pid, () => runShell(scriptOf(name, connections).unlock));
}

function runShell(script: string) {
  return spawnSync('sh', ['-c', script], { encoding: 'utf8', timeout: TOOL_MILLIS });
}
