// Terminals: pseudoterminal pairs, settings, sizes, sessions; ioctl_tty(2).
import { SYS } from '../arch/x86-64.ts';
import { check } from './error.ts';
import { allocate, syscall } from './ffi.ts';
import { O } from './file-facts.ts';

const TIOCEXCL = 0x540c;
const TIOCGPGRP = 0x540f;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
const TIOCPKT = 0x5420;
const TIOCGSID = 0x5429;
const TIOCGLCKTRMIOS = 0x5456;
const TIOCGPTPEER = 0x5441;
const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;
const TIOCGDEV = 0x80045432;
const TIOCGPKT = 0x80045438;
const TIOCGPTLCK = 0x80045439;
const TIOCGEXCL = 0x80045440;
const TCGETS2 = 0x802c542a;
const TCSETS2 = 0x402c542b;
const CONTROL_CHARACTERS = 19;
/** Places in `struct termios2`. */
const TERMIOS = {
  iflag: 0,
  oflag: 4,
  cflag: 8,
  lflag: 12,
  line: 16,
  cc: 17,
  ispeed: 36,
  ospeed: 40,
};

const scratch = allocate(4096);

/** `struct termios2` of a terminal; of a pair that of the slave, from either end. */
export interface TerminalSettings {
  readonly cIflag: number;
  readonly cOflag: number;
  readonly cCflag: number;
  readonly cLflag: number;
  readonly cLine: number;
  readonly cIspeed: number;
  readonly cOspeed: number;
  readonly cCc: readonly number[];
}

export interface WindowSize {
  readonly wsRow: number;
  readonly wsCol: number;
  readonly wsXpixel: number;
  readonly wsYpixel: number;
}

/** An integer that a terminal tells; undefined where it does not. */
function ask(fd: number, request: number): number | undefined {
  scratch.view.setInt32(0, 0, true);
  return syscall(SYS.ioctl, fd, request, scratch.address) < 0
    ? undefined
    : scratch.view.getInt32(0, true);
}

function tell(fd: number, request: number, name: string, value: number): void {
  scratch.view.setInt32(0, value, true);
  check(syscall(SYS.ioctl, fd, request, scratch.address), `ioctl(${name})`);
}

/** Number of a pseudoterminal, asked of its master: N of /dev/pts/N. */
export const ptyIndex = (master: number): number | undefined => ask(master, TIOCGPTN);
/** Device of the terminal itself, also behind /dev/tty; the kernel's encoding for user space. */
export const terminalDevice = (fd: number): number | undefined => ask(fd, TIOCGDEV);
/** Session and foreground group, as the caller numbers them; a slave tells only its own session. */
export const terminalSession = (fd: number): number | undefined => ask(fd, TIOCGSID);
export const foregroundGroup = (fd: number): number | undefined => ask(fd, TIOCGPGRP);
export const isExclusive = (fd: number): boolean => (ask(fd, TIOCGEXCL) ?? 0) !== 0;
export const isPacketMode = (fd: number): boolean => (ask(fd, TIOCGPKT) ?? 0) !== 0;
export const isLocked = (fd: number): boolean => (ask(fd, TIOCGPTLCK) ?? 0) !== 0;

export const setLocked = (master: number, locked: boolean): void =>
  tell(master, TIOCSPTLCK, 'TIOCSPTLCK', Number(locked));
export const setPacketMode = (master: number): void => tell(master, TIOCPKT, 'TIOCPKT', 1);
/** isatty(3). */
export const isTerminal = (fd: number): boolean =>
  syscall(SYS.ioctl, fd, TCGETS2, scratch.address) >= 0;

export function setExclusive(fd: number): void {
  check(syscall(SYS.ioctl, fd, TIOCEXCL, 0), 'ioctl(TIOCEXCL)');
}

/** Opens the slave of a master (Linux 4.13), close-on-exec; it never becomes the caller's controlling terminal. */
export function openPeer(master: number, flags: number): number {
  const how = flags | O.NOCTTY | O.CLOEXEC;
  return check(syscall(SYS.ioctl, master, TIOCGPTPEER, how), 'ioctl(TIOCGPTPEER)');
}

export function readSettings(fd: number): TerminalSettings {
  check(syscall(SYS.ioctl, fd, TCGETS2, scratch.address), 'ioctl(TCGETS2)');
  return settingsIn(scratch);
}

function settingsIn({ view, bytes }: typeof scratch): TerminalSettings {
  const word = (at: number): number => view.getUint32(at, true);
  return {
    cIflag: word(TERMIOS.iflag),
    cOflag: word(TERMIOS.oflag),
    cCflag: word(TERMIOS.cflag),
    cLflag: word(TERMIOS.lflag),
    cLine: view.getUint8(TERMIOS.line),
    cIspeed: word(TERMIOS.ispeed),
    cOspeed: word(TERMIOS.ospeed),
    cCc: [...bytes.subarray(TERMIOS.cc, TERMIOS.cc + CONTROL_CHARACTERS)],
  };
}

export function writeSettings(fd: number, settings: TerminalSettings): void {
  const { view, bytes } = scratch;
  view.setUint32(TERMIOS.iflag, settings.cIflag, true);
  view.setUint32(TERMIOS.oflag, settings.cOflag, true);
  view.setUint32(TERMIOS.cflag, settings.cCflag, true);
  view.setUint32(TERMIOS.lflag, settings.cLflag, true);
  view.setUint8(TERMIOS.line, settings.cLine);
  bytes.set(settings.cCc.slice(0, CONTROL_CHARACTERS), TERMIOS.cc);
  view.setUint32(TERMIOS.ispeed, settings.cIspeed, true);
  view.setUint32(TERMIOS.ospeed, settings.cOspeed, true);
  check(syscall(SYS.ioctl, fd, TCSETS2, scratch.address), 'ioctl(TCSETS2)');
}

/** Bits that nobody may change without CAP_SYS_ADMIN (TIOCSLCKTRMIOS); it has no speeds. */
export function readLockedSettings(fd: number): TerminalSettings {
  scratch.bytes.fill(0, 0, TERMIOS.ospeed + 4);
  check(syscall(SYS.ioctl, fd, TIOCGLCKTRMIOS, scratch.address), 'ioctl(TIOCGLCKTRMIOS)');
  return { ...settingsIn(scratch), cIspeed: 0, cOspeed: 0 };
}

export function readWindow(fd: number): WindowSize {
  check(syscall(SYS.ioctl, fd, TIOCGWINSZ, scratch.address), 'ioctl(TIOCGWINSZ)');
  const [wsRow, wsCol, wsXpixel, wsYpixel] = [0, 2, 4, 6].map((at) =>
    scratch.view.getUint16(at, true),
  ) as [number, number, number, number];
  return { wsRow, wsCol, wsXpixel, wsYpixel };
}

export function writeWindow(fd: number, size: WindowSize): void {
  const { view } = scratch;
  [size.wsRow, size.wsCol, size.wsXpixel, size.wsYpixel].forEach((value, i) => {
    view.setUint16(i * 2, value, true);
  });
  check(syscall(SYS.ioctl, fd, TIOCSWINSZ, scratch.address), 'ioctl(TIOCSWINSZ)');
}
