// The terminals of a restored tree: made when the first process needs one, given to sessions before they have members.
import { fchownSync } from 'node:fs';
import { SYS } from '../../arch/x86-64.ts';
import { IMAGES } from '../../image/image-files.ts';
import { TtyType } from '../../image/messages/enums.ts';
import type { TtyInfoEntry } from '../../image/messages/terminals.ts';
import type { ImageReader } from '../../image/reader.ts';
import { closeFd, fcntl, type OwnedFd } from '../../linux/descriptors.ts';
import { check } from '../../linux/error.ts';
import { O, openBelow } from '../../linux/file-facts.ts';
import {
  openPeer,
  ptyIndex,
  setExclusive,
  setLocked,
  setPacketMode,
  writeSettings,
  writeWindow,
} from '../../linux/terminals.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import { RemoteBatch } from '../../tracee/remote-batch.ts';
import type { TracedProcess } from '../../tracee/traced-process.ts';
import type { FileOpening } from './file-opening.ts';
import { settingsOf } from './terminal-settings.ts';

const PTMX = '/dev/ptmx';
const F_DUPFD_CLOEXEC = 1030;
const AT_FDCWD = -100;
const TIOCSCTTY = 0x540e;
const TIOCSPGRP = 0x5410;

export class Terminals {
  readonly #root: OwnedFd;
  readonly #infos: ReadonlyMap<number, TtyInfoEntry>;
  readonly #masters = new Map<number, number>();

  constructor(images: ImageReader, root: OwnedFd) {
    this.#root = root;
    this.#infos = new Map(images.records(IMAGES.ttyInfo).map((info) => [info.id, info]));
  }

  /** @throws Error when tty-info.img does not have it */
  info(id: number): TtyInfoEntry {
    const info = this.#infos.get(id);
    if (!info) throw new Error(`tty-info.img has no terminal ${id}`);
    return info;
  }

  /** The engine's descriptor of the master, a new number for it. */
  master(info: TtyInfoEntry): number {
    return fcntl(this.#masterOf(info), F_DUPFD_CLOEXEC, 0);
  }

  slave(info: TtyInfoEntry, flags: number): number {
    return openPeer(this.#masterOf(info), flags & (O.ACCMODE | O.NONBLOCK));
  }

  #masterOf({ pty, uid, gid }: TtyInfoEntry): number {
    const index = pty?.index ?? 0;
    let master = this.#masters.get(index);
    if (master === undefined) {
      master = this.#openMaster(index);
      this.#masters.set(index, master);
      this.#setUp(index, master);
      const slave = openPeer(master, O.RDWR);
      if (uid !== undefined && gid !== undefined) fchownSync(slave, uid, gid);
      closeFd(slave);
    }
    return master;
  }

  /** The kernel gives the lowest free number: those below the wanted one are taken for the moment. */
  #openMaster(wanted: number): number {
    const others: number[] = [];
    try {
      for (;;) {
        const how = O.RDWR | O.NOCTTY;
        const fd = check(openBelow(this.#root, PTMX, how), 'open', { object: PTMX });
        const index = ptyIndex(fd);
        if (index === wanted) {
          setLocked(fd, false);
          return fd;
        }
        others.push(fd);
        if (index === undefined || index > wanted) {
          throw new Error(
            `/dev/pts/${wanted} is taken: end who uses that terminal in the target, then restore again`,
          );
        }
      }
    } finally {
      for (const fd of others) closeFd(fd);
    }
  }

  /** Both ends of a pair have a message each; settings are the pair's, the exclusive mode is the end's own. */
  #setUp(index: number, master: number): void {
    for (const info of this.#infos.values()) {
      const { pty, winsize, packetMode } = info;
      if (pty?.index !== index) continue;
      const termios = settingsOf(info);
      if (termios) writeSettings(master, termios);
      if (winsize) writeWindow(master, winsize);
      if (packetMode) setPacketMode(master);
    }
  }

  /** When a session has begun, and before its leader has children: they inherit its terminal. */
  attach(sid: number, leader: TracedProcess): void {
    const info = [...this.#infos.values()].find((i) => i.type === TtyType.PTY && i.sid === sid);
    if (!info) return;
    this.#masterOf(info);
    const batch = new RemoteBatch(leader.leader);
    const path = batch.text(`/dev/pts/${info.pty?.index ?? 0}`);
    // A leader without a terminal gets the first that it opens.
    const opened = batch.must(SYS.openat, AT_FDCWD, path, O.RDWR | O.CLOEXEC, 0);
    batch.must(SYS.close, opened);
    batch.run();
  }

  /** Makes a terminal that was handed in the controlling one of the session whose terminal it replaces. */
  takeOver({ sid }: TtyInfoEntry, id: number, opening: FileOpening): void {
    const leader = sid === 0 ? undefined : opening.builders.find(({ saved }) => saved.pid === sid);
    if (!leader) return;
    const held = opening.wantedOf(id).find(({ builder }) => builder === leader)?.fd;
    const [fd = -1] = held === undefined ? opening.push(leader, [opening.engineFd(id)]) : [held];
    leader.makeRoom(2, 0);
    const taken = leader.batch.call(SYS.ioctl, fd, TIOCSCTTY, 0);
    if (held === undefined) leader.batch.must(SYS.close, fd);
    leader.flush();
    if (taken.number >= 0) return;
    leader.report({
      code: 'ControllingTerminal',
      severity: 'loss',
      pid: sid,
      object: `session ${sid}`,
      advice:
        'the terminal that was handed in belongs to another session: hand in one that is free',
    });
  }

  /** Foreground groups, and what would be in the way before everything is open. */
  finish(builders: readonly ProcessBuilder[]): void {
    const jobs = new Map(
      [...this.#infos.values()].filter((i) => i.sid !== 0 && i.pgrp !== 0).map((i) => [i.sid, i]),
    );
    for (const { sid, pgrp } of jobs.values()) {
      const leader = builders.find(({ saved }) => saved.pid === sid);
      if (leader) setForeground(leader, pgrp);
    }
    for (const [index, master] of this.#masters) {
      const ends = [...this.#infos.values()].filter(({ pty }) => pty?.index === index);
      for (const { id, exclusive } of ends) {
        if (!exclusive) continue;
        if (id & 1) setExclusive(master);
        else {
          const slave = openPeer(master, O.RDWR);
          setExclusive(slave);
          closeFd(slave);
        }
      }
      if (ends.some(({ locked }) => locked)) setLocked(master, true);
    }
  }

  [Symbol.dispose](): void {
    for (const master of this.#masters.values()) closeFd(master);
    this.#masters.clear();
  }
}

/** The leader does it, whatever group it is in: nothing it does now can stop it. */
function setForeground(leader: ProcessBuilder, pgrp: number): void {
  leader.makeRoom(3, 64);
  const { batch } = leader;
  const group = Buffer.alloc(4);
  group.writeInt32LE(pgrp, 0);
  const opened = batch.call(SYS.openat, AT_FDCWD, batch.text('/dev/tty'), O.RDWR | O.CLOEXEC, 0);
  const set = batch.call(SYS.ioctl, opened, TIOCSPGRP, batch.bytes(group));
  batch.call(SYS.close, opened);
  leader.flush();
  if (set.number >= 0) return;
  leader.report({
    code: 'ForegroundGroup',
    severity: 'loss',
    pid: leader.saved.pid,
    object: `process group ${pgrp}`,
    advice:
      'it was in the foreground of its terminal; the target gives that session none (a pod needs tty: true)',
  });
}
