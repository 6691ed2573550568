// Can this running PID 1 become the saved root again? It keeps what exec(2) keeps, and gets nothing back that it gave
// away for good. Pure.
import { type Finding, refusal } from '../finding.ts';
import type { CredsEntry } from '../image/messages/creds.ts';
import type { ProcStatus } from '../linux/procfs/status.ts';
import type { SavedTree } from '../state/records.ts';
import { beginsWith, type FilterChain } from '../state/seccomp.ts';

const SECBIT_NOROOT = 1;
const SECBIT_KEEP_CAPS = 1 << 4;

/** What a standard descriptor leads to: only a way out of the container is of use to the saved tree. */
export type Stream = 'pipe' | 'terminal' | 'own' | 'closed';

/** The running root, stopped. */
export interface RootFacts {
  readonly status: Pick<
    ProcStatus,
    'uids' | 'gids' | 'groups' | 'capabilities' | 'noNewPrivileges' | 'nsSids' | 'nsPgids'
  >;
  readonly securebits: number;
  readonly filters: FilterChain;
  /** hard limits, in the order of RLIMIT_* */
  readonly hardLimits: readonly bigint[];
  /** its root directory is that of its mount namespace */
  readonly ownsRoot: boolean;
  /** by number, 0 to 2 */
  readonly streams: readonly Stream[];
}

/** A standard descriptor that the saved tree takes over. */
export interface WantedStream {
  readonly number: number;
  readonly kind: 'pipe' | 'terminal';
}

const ADVICE =
  'a running program cannot be given that back: restore the Checkpoint into a new pod instead';

/** Everything that speaks against it. */
export function judgeRoot(
  { processes }: SavedTree,
  wanted: readonly WantedStream[],
  now: RootFacts,
): Finding[] {
  const [root] = processes;
  if (!root) return [];
  const { pid, pstree, core } = root;
  const found: Finding[] = [];
  const refuse = (code: string, object: string): unknown =>
    found.push(refusal(code, pid, object, ADVICE));
  for (const object of differences(core.threadCore?.creds, now)) {
    refuse('CredentialsChanged', object);
  }
  const chains = processes.flatMap(({ threads }) => threads.map(({ filters }) => filters));
  if (!chains.every((chain) => beginsWith(chain, now.filters))) {
    refuse('SeccompChanged', 'seccomp filters: it has installed some since');
  }
  for (const object of loweredLimits(core.tc?.rlimits?.rlimits, now.hardLimits)) {
    refuse('LimitLowered', object);
  }
  const [sid, pgid] = [now.status.nsSids.at(-1), now.status.nsPgids.at(-1)];
  if (sid !== pstree.sid || pgid !== pstree.pgid) {
    const was = `${pstree.sid} and ${pstree.pgid}`;
    refuse('SessionChanged', `session and process group: ${was} then, ${sid} and ${pgid} now`);
  }
  if (!now.ownsRoot) refuse('RootDirectoryChanged', 'root directory: it called chroot(2)');
  for (const { number, kind } of wanted) {
    const stream = now.streams[number] ?? 'closed';
    if (stream !== kind) {
      refuse(
        'StandardStreamChanged',
        `descriptor ${number}: a ${kind} of the container then, ${stream} now`,
      );
    }
  }
  return found;
}

/** A hard limit that was lowered stays so. */
function loweredLimits(
  saved: readonly { readonly max: bigint }[] | undefined,
  present: readonly bigint[],
): string[] {
  return (saved ?? []).flatMap(({ max }, resource) => {
    const now = present[resource];
    return now === undefined || now >= max
      ? []
      : `resource limit ${resource}: ${max} then, ${now} now`;
  });
}

/** Low word first. */
const join = ([low = 0, high = 0]: readonly number[]): bigint =>
  BigInt(low) | (BigInt(high) << 32n);

/** By name, what the placeholder would have and the saved root had. */
function differences(saved: CredsEntry | undefined, now: RootFacts): string[] {
  if (!saved) return [];
  const after = afterExec(now);
  const { uid, euid, suid, fsuid, gid, egid, sgid, fsgid } = saved;
  const sorted = (ids: readonly number[]): string => [...ids].sort((a, b) => a - b).join(' ');
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ['users', [uid, euid, suid, fsuid].join(' '), after.uids.join(' ')],
    ['groups', [gid, egid, sgid, fsgid].join(' '), after.gids.join(' ')],
    ['supplementary groups', sorted(saved.groups), sorted(now.status.groups)],
    ['inheritable capabilities', join(saved.capInh), now.status.capabilities.inheritable],
    ['permitted capabilities', join(saved.capPrm), after.permitted],
    ['effective capabilities', join(saved.capEff), after.effective],
    ['bounding capabilities', join(saved.capBnd), now.status.capabilities.bounding],
    ['ambient capabilities', join(saved.capAmb), now.status.capabilities.ambient],
    ['securebits', saved.secbits, after.securebits],
    ['no_new_privs', saved.noNewPrivs ?? 0, Number(now.status.noNewPrivileges)],
  ];
  const text = (value: unknown): string =>
    typeof value === 'bigint' ? `0x${value.toString(16)}` : String(value);
  return pairs
    .filter(([, was, is]) => was !== is)
    .map(([what, was, is]) => `${what}: ${text(was)} then, ${text(is)} once rewound`);
}

/** What exec(2) of a program without set-id bits makes of credentials; capabilities(7), security/commoncap.c. */
function afterExec({ status, securebits }: RootFacts) {
  const [uid, euid] = status.uids as [number, number];
  const [gid, egid] = status.gids as [number, number];
  const { inheritable, permitted, bounding, ambient } = status.capabilities;
  const isRoot = (uid === 0 || euid === 0) && !(securebits & SECBIT_NOROOT);
  const given = isRoot ? bounding | inheritable : 0n;
  const gains = (given & ~permitted) !== 0n && status.noNewPrivileges;
  const has = (gains ? given & permitted : given) | ambient;
  return {
    uids: [uid, euid, euid, euid],
    gids: [gid, egid, egid, egid],
    permitted: has,
    effective: isRoot && euid === 0 ? has : ambient,
    securebits: securebits & ~SECBIT_KEEP_CAPS,
  };
}
