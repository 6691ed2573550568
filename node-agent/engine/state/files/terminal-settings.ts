// Settings of a terminal as CRIU's images have them: control characters packed into words, four to one. Pure.
import type { TermiosEntry, TtyInfoEntry } from '../../image/messages/terminals.ts';
import type { TerminalSettings } from '../../linux/terminals.ts';

const CONTROL_CHARACTERS = 19;
const WORD_BYTES = 4;

/** CRIU wants as many words as there are characters; most of them are empty. */
export function settingsEntry({ cCc, ...settings }: TerminalSettings): TermiosEntry {
  const bytes = Buffer.alloc(CONTROL_CHARACTERS * WORD_BYTES);
  bytes.set(cCc);
  return { ...settings, cCc: Array.from(cCc, (_, i) => bytes.readUInt32LE(i * WORD_BYTES)) };
}

/** Settings that are to be written; our oldest images had one character a word, and no locked settings. */
export function settingsOf({ termios, termiosLocked }: TtyInfoEntry): TerminalSettings | undefined {
  if (!termios || !termiosLocked) return termios;
  const bytes = Buffer.alloc(termios.cCc.length * WORD_BYTES);
  termios.cCc.forEach((word, i) => bytes.writeUInt32LE(word, i * WORD_BYTES));
  return { ...termios, cCc: [...bytes.subarray(0, CONTROL_CHARACTERS)] };
}
