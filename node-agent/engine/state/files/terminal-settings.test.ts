// Control characters of terminals as CRIU packs them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TtyInfoEntry } from '../../image/messages/terminals.ts';
import { settingsEntry, settingsOf } from './terminal-settings.ts';

const cCc = [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 255];
const settings = { cIflag: 1, cOflag: 2, cCflag: 3, cLflag: 4, cLine: 0, cIspeed: 5, cOspeed: 6 };
const info: TtyInfoEntry = {
  id: 0,
  type: 1,
  locked: false,
  exclusive: false,
  packetMode: false,
  sid: 0,
  pgrp: 0,
  rdev: 0,
};

test('four to a word, as many words as characters', () => {
  const entry = settingsEntry({ ...settings, cCc });
  assert.equal(entry.cCc.length, cCc.length);
  // VINTR, VQUIT, VERASE, VKILL of a terminal that CRIU 4.2 saved
  assert.equal(entry.cCc[0], 360651779);
  assert.deepEqual(settingsOf({ ...info, termios: entry, termiosLocked: entry }), {
    ...settings,
    cCc,
  });
});

test('images of ours without locked settings have one to a word', () => {
  assert.deepEqual(settingsOf({ ...info, termios: { ...settings, cCc } })?.cCc, cCc);
});
