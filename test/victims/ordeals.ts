// What the engine puts a victim through in tests of one kind of state: a dump beside which it runs on, or its end and a restore.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Finding } from '../../node-agent/engine/finding.ts';
import type { DumpTask, RestoreTree } from '../../node-agent/engine/protocol.ts';
import { throughImages } from './cases.ts';
import { type Contained, startPlaceholder } from './confined.ts';
import { dumpTask, type EngineEnd, startEngine } from './engine-process.ts';
import type { Victim } from './victim.ts';

export const ORDEALS = [
  'nothing',
  'dumped',
  'dumped and restored',
  'dumped twice and restored',
] as const;
export type Ordeal = (typeof ORDEALS)[number];

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
    findings.push(...(await dumped(victim, imagesDir, afterDump)));
  };
  const restore = async (): Promise<void> => {
    findings.push(...(await restored({ name: 'victim', imagesDir })));
  };
  const survivor = (one: Victim): Survivor => survivorOf(one, findings);
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

/**
 * Ends the program where it is and brings it back in a pod's placeholder.
 *
 * @param rights of the placeholder
 * @throws AssertionError when the engine fails
 */
export async function throughPod(
  contained: Contained,
  rights: 'none' | 'all' = 'none',
  options: OrdealOptions = {},
): Promise<Survivor> {
  const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-ordeal-'));
  try {
    const findings = [...(await dumped(contained.victim, imagesDir, 'Kill'))];
    options.meanwhile?.(imagesDir);
    const placeholder = await startPlaceholder(contained, rights);
    const tree = { name: 'victim', imagesDir, placeholderPid: placeholder.pid };
    try {
      findings.push(...(await restored(tree)));
      return survivorOf(placeholder, findings);
    } catch (error) {
      placeholder[Symbol.dispose]();
      throw error;
    }
  } finally {
    rmSync(imagesDir, { recursive: true, force: true });
  }
}

const survivorOf = (victim: Victim, findings: readonly Finding[]): Survivor => ({
  victim,
  findings,
  [Symbol.dispose]: () => victim[Symbol.dispose](),
});

async function dumped(
  { pid }: Victim,
  imagesDir: string,
  afterDump: DumpTask['afterDump'],
): Promise<readonly Finding[]> {
  return mustEndWell(await startEngine(dumpTask(pid, imagesDir, { afterDump })).ended);
}

async function restored(tree: RestoreTree): Promise<readonly Finding[]> {
  const task = { type: 'restore', trees: [tree], leaveStopped: false } as const;
  return mustEndWell(await startEngine(task).ended);
}

function mustEndWell(end: EngineEnd): readonly Finding[] {
  assert.equal(end.failure?.message, undefined);
  assert.equal(end.status, 0, end.stderr);
  return (end.result ?? end.restored)?.findings ?? [];
}
