// Real bundles, damaged at random, up to the last check before the first change of a restore: the answer is a judgement or
// an ImageError, never another error, never long in coming, and nothing is started. FUZZ_CASES asks for more than usual.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, test } from 'node:test';
import { dumpTask, startEngine } from '../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';
import { ImageError } from '../image/image-error.ts';
import { type AnyImage, imageOf } from '../image/image-files.ts';
import { damage } from '../image/testing/fuzz.ts';
import { mutate } from '../image/testing/mutate.ts';
import { pick, seeded } from '../image/testing/random.ts';
import { childPids } from '../linux/procfs/children.ts';
import { openSavedTree } from './saved-images.ts';

enterPrivateNamespaces();

const CASES = Number(process.env['FUZZ_CASES'] ?? 10_000);
const LONGEST_CASE_MILLIS = 3000;
/** the first of the victims have several processes */
const TREES = 2;
const VICTIMS = [
  ['tree', []],
  ['seccomp', []],
  ['aio', []],
  ['timers', []],
  ['areas', []],
  ['files-pipe', []],
  ['files-events', []],
  ['files-unix', []],
] as const;

const base = mkdtempSync(join(tmpdir(), 'diapause-fuzz-'));
after(() => rmSync(base, { recursive: true, force: true }));

interface Bundle {
  readonly directory: string;
  readonly images: readonly { readonly image: AnyImage; readonly sound: Buffer }[];
}

async function bundleOf(program: string, args: readonly string[]): Promise<Bundle> {
  const directory = mkdtempSync(join(base, `${program}-`));
  using victim = await startVictim(buildVictim(program), args);
  const { failure } = await startEngine(
    dumpTask(victim.pid, directory, { maxGhostBytes: 16 << 20 }),
  ).ended;
  assert.equal(failure?.message, undefined, program);
  const images = readdirSync(directory).flatMap((file) => {
    const image = imageOf(file);
    return image ? [{ image, sound: readFileSync(join(directory, file)) }] : [];
  });
  return { directory, images };
}

/** `refused` for damaged images, `judged` for a tree that was read; anything else is an error. */
function judge(imagesDir: string): 'refused' | 'judged' {
  try {
    const opened = openSavedTree({ name: 'fuzz', imagesDir });
    try {
      opened.check();
    } finally {
      opened.images[Symbol.dispose]();
    }
    return 'judged';
  } catch (error) {
    if (error instanceof ImageError) return 'refused';
    throw error;
  }
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

test(`${CASES} damaged bundles are judged or refused`, async () => {
  const bundles: Bundle[] = [];
  for (const [program, args] of VICTIMS) bundles.push(await bundleOf(program, args));
  for (const { directory } of bundles) assert.equal(judge(directory), 'judged', directory);
  const before = { children: childPids(process.pid), descriptors: descriptors() };
  const random = seeded(20_261_127);
  const sums = { refused: 0, judged: 0 };
  for (let number = 0; number < CASES; number++) {
    // Trees are read in ten times the time of a single process.
    const { directory, images } = pick(random, random() < 0.97 ? bundles.slice(TREES) : bundles);
    const { image, sound } = pick(random, images);
    const file = join(directory, image.file);
    const changed =
      (random() < 0.7 ? mutate(random, image, sound) : undefined) ?? damage(random, sound);
    writeFileSync(file, changed);
    const start = process.cpuUsage();
    try {
      sums[judge(directory)] += 1;
    } catch (error) {
      const content = Buffer.from(changed.subarray(0, 2048)).toString('hex');
      throw new Error(`case ${number}, ${file}: ${content}`, { cause: error });
    }
    // Time of our own: other work on the machine may keep us waiting.
    const { user, system } = process.cpuUsage(start);
    const millis = (user + system) / 1000;
    assert.ok(millis < LONGEST_CASE_MILLIS, `case ${number}, ${file} took ${millis} ms`);
    writeFileSync(file, sound);
  }
  assert.deepEqual({ children: childPids(process.pid), descriptors: descriptors() }, before);
  assert.ok(sums.refused > CASES / 10 && sums.judged > CASES / 10, JSON.stringify(sums));
});
