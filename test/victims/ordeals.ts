// What the engine puts a victim through in tests of one kind of state: a dump beside which it runs on, or its end and a restore.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Finding } from '../../node-agent/engine/finding.ts';
import type { DumpTask } from '../../node-agent/engine/protocol.ts';
import { throughImages } from './cases.ts';
import { dumpTask, type EngineEnd, startEngine } from './engine-process.ts';
import type { Victim } from './victim.ts';

export type Ordeal = 'nothing' | 'dumped' | 'dumped and restored' | 'dumped twice and restored';

export interface Survivor extends Disposable {
  readonly victim: Victim;
  /** what the engine said of dump and restore */
  readonly findings: readonly Finding[];
}

export interface OrdealOptions {
  /** dumped and ended, not restored yet; `imagesDir` may be changed */
  meanwhile?(imagesDir: string): void;
}

/** @throws AssertionError when the engine fails */
export async function through(
  victim: Victim,
  ordeal: Ordeal,
  options: OrdealOptions = {},
): Promise<Survivor> {
  const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-ordeal-'));
  const findings: Finding[] = [];
  const dump = async (afterDump: DumpTask['afterDump']): Promise<void> => {
    const { ended } = startEngine(dumpTask(victim.pid, imagesDir, { afterDump }));
    findings.push(...mustEndWell(await ended));
  };
  const restore = async (): Promise<void> => {
    const trees = [{ name: 'victim', imagesDir }];
    const { ended } = startEngine({ type: 'restore', trees, leaveStopped: false });
    findings.push(...mustEndWell(await ended));
  };
  const survivor = (one: Victim): Survivor => ({
    victim: one,
    findings,
    [Symbol.dispose]: () => one[Symbol.dispose](),
  });
  try {
    if (ordeal === 'nothing') return survivor(victim);
    if (ordeal !== 'dumped and restored') await dump('Resume');
    if (ordeal === 'dumped') return survivor(victim);
    const back = await throughImages(
      victim,
      () => dump('Kill'),
      () => options.meanwhile?.(imagesDir),
      restore,
    );
    return survivor(back);
  } finally {
    rmSync(imagesDir, { recursive: true, force: true });
  }
}

function mustEndWell(end: EngineEnd): readonly Finding[] {
  assert.equal(end.failure?.message, undefined);
  assert.equal(end.status, 0, end.stderr);
  return (end.result ?? end.restored)?.findings ?? [];
}
