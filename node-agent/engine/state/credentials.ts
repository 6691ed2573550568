// Users, groups, capabilities, securebits and no_new_privs of a thread.
import { SYS } from '../arch/x86-64.ts';
import type { CredsEntry } from '../image/messages/creds.ts';
import { parseStatus, readStatus } from '../linux/procfs/status.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { ThreadBuilder } from '../restore/builder.ts';
import type { ThreadKind } from './state-kind.ts';

const PR = {
  GET_PDEATHSIG: 2,
  SET_PDEATHSIG: 1,
  CAPBSET_DROP: 24,
  GET_SECUREBITS: 27,
  SET_SECUREBITS: 28,
  SET_NO_NEW_PRIVS: 38,
  CAP_AMBIENT: 47,
  CAP_AMBIENT_RAISE: 2,
} as const;
const SECBIT_KEEP_CAPS = 1 << 4;
const SECBIT_NO_SETUID_FIXUP = 1 << 2;
const CAPABILITY_VERSION_3 = 0x20080522;
const LAST_CAPABILITY = 63;

/** Two 32-bit words, low first, as CRIU stores a set. */
const split = (set: bigint): number[] => [Number(set & 0xffffffffn), Number(set >> 32n)];
const join = (words: readonly number[] | undefined): bigint =>
  BigInt(words?.[0] ?? 0) | (BigInt(words?.[1] ?? 0) << 32n);

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

  /** In a pod everything is inherited from the placeholder, and `check` has seen that it is the same. */
  restore(core, builder) {
    const saved = core.threadCore?.creds;
    if (!saved) return;
    if (builder.process.birth === 'standalone') restoreCredentials(saved, builder);
    const deathSignal = core.threadCore?.pdeathSig;
    // Changing credentials clears it, so it comes after them.
    if (deathSignal) builder.batch.must(SYS.prctl, PR.SET_PDEATHSIG, deathSignal);
  },
};

function restoreCredentials(saved: CredsEntry, builder: ThreadBuilder): void {
  builder.flush();
  const { thread } = builder;
  const now = readStatus(`${thread.process.pid}/task/${thread.tid}`);
  const batch = new RemoteBatch(thread);
  if (String(now.groups) !== String(saved.groups)) {
    const groups = Buffer.alloc(Math.max(4, saved.groups.length * 4));
    saved.groups.forEach((group, i) => groups.writeUInt32LE(group, i * 4));
    batch.must(SYS.setgroups, saved.groups.length, batch.bytes(groups));
  }
  // Users change without losing the capabilities that the next steps need.
  batch.must(SYS.prctl, PR.SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP);
  batch.must(SYS.setresgid, saved.gid, saved.egid, saved.sgid);
  batch.call(SYS.setfsgid, saved.fsgid);
  batch.must(SYS.setresuid, saved.uid, saved.euid, saved.suid);
  batch.call(SYS.setfsuid, saved.fsuid);
  batch.must(SYS.prctl, PR.SET_SECUREBITS, saved.secbits);
  const drop = now.capabilities.bounding & ~join(saved.capBnd);
  for (let capability = 0; capability <= LAST_CAPABILITY; capability++) {
    if (!((drop >> BigInt(capability)) & 1n)) continue;
    if (!batch.hasRoom(8, 64)) batch.run();
    batch.must(SYS.prctl, PR.CAPBSET_DROP, capability);
  }
  batch.run();
  setCapabilities(saved, batch);
  if (saved.noNewPrivs) batch.must(SYS.prctl, PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  batch.run();
}

function setCapabilities(saved: CredsEntry, batch: RemoteBatch): void {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0);
  const data = Buffer.alloc(24);
  for (const half of [0, 1]) {
    data.writeUInt32LE(saved.capEff[half] ?? 0, half * 12);
    data.writeUInt32LE(saved.capPrm[half] ?? 0, half * 12 + 4);
    data.writeUInt32LE(saved.capInh[half] ?? 0, half * 12 + 8);
  }
  batch.must(SYS.capset, batch.bytes(header), batch.bytes(data));
  const ambient = join(saved.capAmb);
  for (let capability = 0; capability <= LAST_CAPABILITY; capability++) {
    if (!((ambient >> BigInt(capability)) & 1n)) continue;
    if (!batch.hasRoom(2, 64)) batch.run();
    batch.must(SYS.prctl, PR.CAP_AMBIENT, PR.CAP_AMBIENT_RAISE, capability, 0, 0);
  }
}
