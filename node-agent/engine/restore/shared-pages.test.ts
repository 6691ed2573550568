// A family of processes comes back with exactly the pages in common that it had, and nobody sees what another one writes.
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { throughImages } from '../../../test/victims/cases.ts';
import { dumpTask, type EngineEnd, startEngine } from '../../../test/victims/engine-process.ts';
import { nextLine } from '../../../test/victims/health.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

const base = mkdtempSync(join(tmpdir(), 'diapause-family-'));
after(() => rmSync(base, { recursive: true, force: true }));

const PAGE = 4096;
const MIB = 1 << 20;
const PRESENT = 1n << 63n;
const FRAME = (1n << 55n) - 1n;

interface Region {
  readonly start: bigint;
  readonly bytes: number;
}

/** Frame number of each page, undefined where there is none. */
function framesOf(pid: number, { start, bytes }: Region): (bigint | undefined)[] {
  const entries = Buffer.alloc((bytes / PAGE) * 8);
  const fd = openSync(`/proc/${pid}/pagemap`, 'r');
  const got = readSync(fd, entries, 0, entries.length, (start / BigInt(PAGE)) * 8n);
  closeSync(fd);
  assert.equal(got, entries.length);
  return Array.from({ length: bytes / PAGE }, (_, i) => {
    const entry = entries.readBigUInt64LE(i * 8);
    return entry & PRESENT ? entry & FRAME : undefined;
  });
}

function inCommon(a: number, b: number, region: Region): number {
  const others = framesOf(b, region);
  return framesOf(a, region).filter((frame, i) => frame !== undefined && frame === others[i])
    .length;
}

/** Proportional set size: every page counts once, however many processes have it. */
function residentBytes(pids: readonly number[]): number {
  return pids
    .map((pid) => /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))![1])
    .reduce((sum, kilobytes) => sum + Number(kilobytes) * 1024, 0);
}

/** What the victim said about itself when it was ready. */
function familyOf(victim: Victim) {
  const text = victim.output();
  const numbers = /^area 0x(\w+) (\d+) heap 0x(\w+) (\d+)$/m.exec(text)!;
  const region = (start: string, bytes: string): Region => ({
    start: BigInt(`0x${start}`),
    bytes: Number(bytes),
  });
  return {
    area: region(numbers[1]!, numbers[2]!),
    heap: region(numbers[3]!, numbers[4]!),
    members: new Map(
      [...text.matchAll(/^member (\S+) (\d+)$/gm)].map(([, name, pid]) => [name!, Number(pid)]),
    ),
  };
}

const RELATIVES = [
  ['root', 'worker'],
  ['root', 'changer'],
  ['changer', 'grandchild'],
  ['root', 'leader'],
  ['leader', 'follower'],
  ['root', 'stranger'],
] as const;

/** Pages in common between relatives, in the large area and in the heap. */
function sharing({ area, heap, members }: ReturnType<typeof familyOf>): Record<string, number[]> {
  return Object.fromEntries(
    RELATIVES.map(([a, b]) => [
      `${a} and ${b}`,
      [area, heap].map((region) => inCommon(members.get(a)!, members.get(b)!, region)),
    ]),
  );
}

const sessions = ({ members }: ReturnType<typeof familyOf>): string[] =>
  [...members].map(([name, pid]) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [, parent, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${name} ${name === 'root' ? '' : parent} ${group} ${session}`;
  });

/**
 * Bounds, protection and name of every mapping, neighbours that look the same as one: Linux does not join heaps that grew
 * after a fork, a restore does.
 */
const layouts = ({ members }: ReturnType<typeof familyOf>): Record<string, string[]> =>
  Object.fromEntries([...members].map(([name, pid]) => [name, layoutOf(pid)]));

function layoutOf(pid: number): string[] {
  const layout: { start: string; end: string; look: string }[] = [];
  for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
    const [, start, end, rights, name] = /^(\w+)-(\w+) (\S+) \S+ \S+ \d+ *(.*)$/.exec(line) ?? [];
    if (start === undefined || end === undefined) continue;
    const look = `${rights} ${name}`;
    const last = layout.at(-1);
    if (last?.end === start && last.look === look) last.end = end;
    else layout.push({ start, end, look });
  }
  return layout.map(({ start, end, look }) => `${start}-${end} ${look}`);
}

const report = (victim: Victim): Promise<string> =>
  nextLine(victim, /^report /, () => victim.signal('SIGUSR1'));

function mustEndWell({ failure, status, stderr }: EngineEnd): void {
  assert.equal(failure?.message, undefined);
  assert.equal(status, 0, stderr);
}

test('a family shares the pages that it shared before', async () => {
  using victim = await startVictim(buildVictim('family'));
  const family = familyOf(victim);
  const before = sharing(family);
  const bytesBefore = residentBytes([...family.members.values()]);
  const placesBefore = sessions(family);
  const layoutsBefore = layouts(family);
  // The test itself sees pages: all but a few in common with a worker, none with a stranger
  const [area = 0, heap] = before['root and worker']!;
  assert.ok(area < family.area.bytes / PAGE && area > family.area.bytes / PAGE - 20);
  assert.equal(heap, family.heap.bytes / PAGE);
  assert.deepEqual(before['root and stranger'], [0, 0]);
  const imagesDir = mkdtempSync(join(base, 'images-'));
  using restored = await throughImages(
    victim,
    async () =>
      mustEndWell(await startEngine(dumpTask(victim.pid, imagesDir, { afterDump: 'Kill' })).ended),
    () => undefined,
    async () => {
      const trees = [{ name: 'family', imagesDir }];
      mustEndWell(await startEngine({ type: 'restore', trees, leaveStopped: false }).ended);
    },
  );
  assert.deepEqual(sharing(family), before);
  assert.deepEqual(sessions(family), placesBefore);
  assert.deepEqual(layouts(family), layoutsBefore);
  const bytes = residentBytes([...family.members.values()]);
  assert.ok(Math.abs(bytes - bytesBefore) < 2 * MIB, `${bytes} bytes, ${bytesBefore} before`);
  // One more when they have all been written to; the first report is from after the restore
  for (const number of [1, 2]) {
    assert.equal(await report(restored), `report ${number} answers 6 wrong 0`);
  }
  assert.match(await nextLine(restored, /^verdict/, () => restored.signal('SIGTERM')), / wrong 0$/);
});
