// Users, groups, capabilities, securebits and no_new_privs of a thread.
import { SYS } from '../arch/x86-64.ts';
import { type Finding, refusal } from '../finding.ts';
import type { CredsEntry } from '../image/messages/creds.ts';
import { syscall } from '../linux/ffi.ts';
import { parseStatus } from '../linux/procfs/status.ts';
import type { RemoteWord } from '../tracee/remote-word.ts';
import type { ThreadBuilder } from '../restore/builder.ts';
import {
  holds,
  isNarrower,
  joinWords,
  obstacleTo,
  type Rights,
  sameRights,
  SECBIT_KEEP_CAPS,
} from './credential-reach.ts';
import type { SavedTree } from './records.ts';
import type { ThreadKind } from './state-kind.ts';

const PR = {
  GET_PDEATHSIG: 2,
  SET_PDEATHSIG: 1,
  CAPBSET_DROP: 24,
  SET_DUMPABLE: 4,
  SET_KEEPCAPS: 8,
  GET_SECUREBITS: 27,
  SET_SECUREBITS: 28,
  SET_NO_NEW_PRIVS: 38,
  CAP_AMBIENT: 47,
  CAP_AMBIENT_RAISE: 2,
} as const;
const SECBIT_NO_SETUID_FIXUP = 1 << 2;
const CAPABILITY_VERSION_3 = 0x20080522;
const LAST_CAPABILITY = 63;

/** Two 32-bit words, low first, as CRIU stores a set. */
const split = (set: bigint): number[] => [Number(set & 0xffffffffn), Number(set >> 32n)];

export const credentials: ThreadKind = {
  name: 'credentials',
  scope: 'thread',
  stage: 'final',

  collect(subject, remote) {
    const statusText = subject.statusText();
    const securebits = remote.must(SYS.prctl, PR.GET_SECUREBITS);
    const deathSignal = remote.space(8);
    remote.must(SYS.prctl, PR.GET_PDEATHSIG, deathSignal);
    return ({ threadCore }) => {
      const status = parseStatus(statusText);
      const [uid, euid, suid, fsuid] = status.uids as [number, number, number, number];
      const [gid, egid, sgid, fsgid] = status.gids as [number, number, number, number];
      const { inheritable, permitted, effective, bounding, ambient } = status.capabilities;
      threadCore.creds = {
        uid,
        gid,
        euid,
        egid,
        suid,
        sgid,
        fsuid,
        fsgid,
        capInh: split(inheritable),
        capPrm: split(permitted),
        capEff: split(effective),
        capBnd: split(bounding),
        secbits: securebits.number,
        groups: [...status.groups],
        noNewPrivs: status.noNewPrivileges ? 1 : 0,
        capAmb: split(ambient),
      };
      if (deathSignal.int32(0) !== 0) threadCore.pdeathSig = deathSignal.int32(0);
    };
  },

  /** In a pod most are born with the placeholder's own; what others had is within its reach, as was seen beforehand. */
  restore(core, builder) {
    const saved = core.threadCore?.creds;
    if (!saved) return;
    restoreCredentials(saved, builder);
    const deathSignal = core.threadCore?.pdeathSig;
    if (!deathSignal) return;
    // Changing credentials clears it, so it comes after them.
    if (!isEngineChild(builder)) builder.batch.must(SYS.prctl, PR.SET_PDEATHSIG, deathSignal);
    else builder.process.report(lostDeathSignal(builder, deathSignal));
  },
};

/** The root of a standalone tree: the end of the engine would send it the signal. */
const isEngineChild = ({ process }: ThreadBuilder): boolean =>
  process.birth === 'standalone' && process.saved.pstree.ppid === 0;

const lostDeathSignal = ({ process, saved }: ThreadBuilder, signal: number): Finding => ({
  code: 'DeathSignal',
  severity: 'loss',
  pid: process.saved.pid,
  tid: saved.tid,
  object: `signal ${signal} at the end of its parent`,
  advice: 'the parent is not part of what was saved: let the new one end it, if it should',
});

/** All calls go into the thread's batch, so that the threads of a process do it at the same time. */
function restoreCredentials(saved: CredsEntry, builder: ThreadBuilder): void {
  const { birth, rightsAtBirth: now } = builder.process;
  if (sameRights(saved, now) && (birth === 'morph' || ownSecurebits() === 0)) return;
  const must = (nr: number, ...args: RemoteWord[]): void => {
    builder.makeRoom(1, 0);
    builder.batch.must(nr, ...args);
  };
  if (String(now.groups) !== String(saved.groups)) setGroups(saved.groups, builder);
  // Users change without losing the capabilities that the next steps need.
  const mayKeepAll = birth === 'standalone' || holds(now, 'SETPCAP');
  if (mayKeepAll) {
    must(SYS.prctl, PR.SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP);
  } else must(SYS.prctl, PR.SET_KEEPCAPS, 1);
  must(SYS.setresgid, saved.gid, saved.egid, saved.sgid);
  builder.makeRoom(1, 0);
  builder.batch.call(SYS.setfsgid, saved.fsgid);
  must(SYS.setresuid, saved.uid, saved.euid, saved.suid);
  builder.makeRoom(1, 0);
  builder.batch.call(SYS.setfsuid, saved.fsuid);
  if (mayKeepAll) must(SYS.prctl, PR.SET_SECUREBITS, saved.secbits);
  else must(SYS.prctl, PR.SET_KEEPCAPS, saved.secbits & SECBIT_KEEP_CAPS ? 1 : 0);
  const drop = now.capabilities.bounding & ~joinWords(saved.capBnd);
  for (let capability = 0; capability <= LAST_CAPABILITY; capability++) {
    if ((drop >> BigInt(capability)) & 1n) must(SYS.prctl, PR.CAPBSET_DROP, capability);
  }
  setCapabilities(saved, builder);
  if (saved.noNewPrivs) must(SYS.prctl, PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // A change of users takes it away.
  const dumpable = builder.process.saved.mm?.dumpable;
  if (dumpable === 1) must(SYS.prctl, PR.SET_DUMPABLE, 1, 0, 0, 0);
}

/** A standalone tree is born with those of the engine, and /proc does not show them. */
const ownSecurebits = (): number => syscall(SYS.prctl, PR.GET_SECUREBITS);

function setGroups(groups: readonly number[], builder: ThreadBuilder): void {
  const list = Buffer.alloc(Math.max(4, groups.length * 4));
  groups.forEach((group, i) => list.writeUInt32LE(group, i * 4));
  builder.makeRoom(1, list.length);
  builder.batch.must(SYS.setgroups, groups.length, builder.batch.bytes(list));
}

/** Rights that the placeholder cannot give itself, or only in part: told before anything is begun. */
export function checkCredentials({ processes }: SavedTree, placeholder: Rights): Finding[] {
  const rights = processes.flatMap(({ pid, threads }) =>
    threads.flatMap(({ tid, core }) => {
      const creds = core.threadCore?.creds;
      return creds ? [{ pid, tid, creds }] : [];
    }),
  );
  const advice = 'give the restored pod the securityContext of the saved one';
  const refused = rights.flatMap(({ pid, tid, creds }): Finding[] => {
    const obstacle = obstacleTo(creds, placeholder);
    if (obstacle === undefined) return [];
    return [
      { ...refusal('CredentialsOutOfReach', pid, `thread ${tid}: ${obstacle}`, advice), tid },
    ];
  });
  const narrower = rights.find(({ creds }) => isNarrower(creds, placeholder));
  if (!narrower) return refused;
  const object = 'bounding set of capabilities: smaller here';
  return [...refused, { code: 'BoundingSet', severity: 'note', pid: narrower.pid, object, advice }];
}

function setCapabilities(saved: CredsEntry, builder: ThreadBuilder): void {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0);
  const data = Buffer.alloc(24);
  for (const half of [0, 1]) {
    data.writeUInt32LE(saved.capEff[half] ?? 0, half * 12);
    data.writeUInt32LE(saved.capPrm[half] ?? 0, half * 12 + 4);
    data.writeUInt32LE(saved.capInh[half] ?? 0, half * 12 + 8);
  }
  builder.makeRoom(1, 64);
  const { batch } = builder;
  batch.must(SYS.capset, batch.bytes(header), batch.bytes(data));
  const ambient = joinWords(saved.capAmb);
  for (let capability = 0; capability <= LAST_CAPABILITY; capability++) {
    if (!((ambient >> BigInt(capability)) & 1n)) continue;
    builder.makeRoom(1, 0);
    builder.batch.must(SYS.prctl, PR.CAP_AMBIENT, PR.CAP_AMBIENT_RAISE, capability, 0, 0);
  }
}
