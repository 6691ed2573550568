// Can a process give itself these rights? In a pod nobody else may: what is restored has never more than its container. Pure.
import type { CredsEntry } from '../image/messages/creds.ts';
import type { ProcStatus } from '../linux/procfs/status.ts';

/** What /proc/PID/status tells of rights. */
export type Rights = Pick<
  ProcStatus,
  'uids' | 'gids' | 'groups' | 'capabilities' | 'noNewPrivileges'
>;

/** anybody may set it, by prctl(PR_SET_KEEPCAPS) */
export const SECBIT_KEEP_CAPS = 1 << 4;
const CAP = { SETGID: 6, SETUID: 7, SETPCAP: 8 } as const;

/** Two 32-bit words, low first, as CRIU stores a set. */
export const joinWords = (words: readonly number[] | undefined): bigint =>
  BigInt(words?.[0] ?? 0) | (BigInt(words?.[1] ?? 0) << 32n);

export const holds = ({ capabilities }: Rights, cap: keyof typeof CAP): boolean =>
  ((capabilities.effective >> BigInt(CAP[cap])) & 1n) === 1n;

/** Are they the saved ones already? */
export function sameRights(saved: CredsEntry, now: Rights): boolean {
  const { capabilities } = now;
  return (
    usersOf(saved).join() === now.uids.join() &&
    groupsOf(saved).join() === now.gids.join() &&
    sorted(saved.groups) === sorted(now.groups) &&
    joinWords(saved.capInh) === capabilities.inheritable &&
    joinWords(saved.capPrm) === capabilities.permitted &&
    joinWords(saved.capEff) === capabilities.effective &&
    joinWords(saved.capBnd) === capabilities.bounding &&
    joinWords(saved.capAmb) === capabilities.ambient &&
    saved.secbits === 0 &&
    (saved.noNewPrivs ?? 0) <= Number(now.noNewPrivileges)
  );
}

/** May programs that it starts get fewer capabilities than before? */
export const isNarrower = (saved: CredsEntry, { capabilities }: Rights): boolean =>
  (joinWords(saved.capBnd) & ~capabilities.bounding) !== 0n;

/** What stands in the way, for people; undefined when nothing does. Rules: setresuid(2), capset(2), capabilities(7). */
export function obstacleTo(saved: CredsEntry, now: Rights): string | undefined {
  const { capabilities } = now;
  const lacking = (wanted: readonly number[] | undefined, has: bigint): bigint =>
    joinWords(wanted) & ~has;
  const obstacles: readonly (readonly [boolean, string])[] = [
    [
      !usersOf(saved).every((id) => now.uids.includes(id)) && !holds(now, 'SETUID'),
      `users ${usersOf(saved).join(' ')} without CAP_SETUID`,
    ],
    [
      !groupsOf(saved).every((id) => now.gids.includes(id)) && !holds(now, 'SETGID'),
      `groups ${groupsOf(saved).join(' ')} without CAP_SETGID`,
    ],
    [
      sorted(saved.groups) !== sorted(now.groups) && !holds(now, 'SETGID'),
      `supplementary groups ${saved.groups.join(' ')} without CAP_SETGID`,
    ],
    [lacking(saved.capPrm, capabilities.permitted) !== 0n, 'capabilities that the target lacks'],
    [
      lacking(saved.capInh, capabilities.inheritable | capabilities.permitted) !== 0n,
      'inheritable capabilities that the target lacks',
    ],
    [
      (capabilities.bounding & ~joinWords(saved.capBnd)) !== 0n && !holds(now, 'SETPCAP'),
      'fewer bounding capabilities, without CAP_SETPCAP',
    ],
    [
      (saved.secbits & ~SECBIT_KEEP_CAPS) !== 0 && !holds(now, 'SETPCAP'),
      'securebits without CAP_SETPCAP',
    ],
  ];
  return obstacles.find(([stands]) => stands)?.[1];
}

const usersOf = ({ uid, euid, suid, fsuid }: CredsEntry): number[] => [uid, euid, suid, fsuid];
const groupsOf = ({ gid, egid, sgid, fsgid }: CredsEntry): number[] => [gid, egid, sgid, fsgid];
const sorted = (ids: readonly number[]): string => [...ids].sort((a, b) => a - b).join();
