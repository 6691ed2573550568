// Lines of /proc/PID/smaps and what CRIU 4.2 makes of them: values taken from its own images of the same program.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding } from '../finding.ts';
import type { VmaEntry } from '../image/messages/memory.ts';
import { type Mapping, parseSmaps } from '../linux/procfs/maps.ts';
import { type Area, classify, describeMapping, vmaEntryOf } from './area.ts';
import { withoutRange } from './mappings.ts';

const SHMEM = { shmem: '00:01', hugePages: new Map([['00:0f', 2 << 20]]) };

function mapping(line: string, flags = 'rd wr mr mw me ac'): Mapping {
  const [parsed] = parseSmaps(`${line}\nSize: 4 kB\nVmFlags: ${flags} \n`);
  assert.ok(parsed, line);
  return parsed;
}

function areaOf(line: string, flags?: string): Area {
  const one = mapping(line, flags);
  const kind = classify(one, SHMEM, 7);
  assert.equal(typeof kind, 'string', `${line} is refused`);
  return { mapping: one, kind: kind as Area['kind'] };
}

const PLAIN = '7f00-8f00 rw-p 00000000 00:00 0';

// line, VmFlags, then prot, flags, status, madv of CRIU
const CRIU: readonly (readonly [string, string, number, number, number, bigint?])[] = [
  [PLAIN, 'rd wr mr mw me ac', 3, 0x22, 0x201],
  [`${PLAIN} [heap]`, 'rd wr mr mw me ac', 3, 0x22, 0x221],
  [`${PLAIN} [stack]`, 'rd wr mr mw me gd ac', 3, 0x122, 0x201],
  [`${PLAIN} [anon:some name]`, 'rd wr mr mw me ac', 3, 0x22, 0x201],
  [PLAIN, 'rd wr mr mw me dc ac wf', 3, 0x22, 0x201, 0x40400n],
  [PLAIN, 'rd wr mr mw me lo ac', 3, 0x2022, 0x201],
  [PLAIN, 'rd wr mr mw me nr', 3, 0x4022, 0x201],
  [PLAIN, 'rd wr mr mw me nr wf dd dp', 3, 0x4028, 0x201, 0x50000n],
  [PLAIN, 'rd wr mr mw me ac hg', 3, 0x22, 0x201, 0x4000n],
  [PLAIN, 'rd wr mr mw me rr ac', 3, 0x22, 0x201, 0x2n],
  [PLAIN, 'rd wr mr mw me sr ac', 3, 0x22, 0x201, 0x4n],
  ['7f00-8f00 ---p 00000000 00:00 0', 'mr mw me', 0, 0x22, 0x201],
  ['7f00-8f00 r-xp 00001000 fe:00 12 /usr/bin/x', 'rd ex mr mw me', 5, 0x2, 0x41],
  ['7f00-8f00 rw-s 00001000 fe:00 12 /data', 'rd wr sh mr mw me ms', 3, 0x1, 0x81],
  ['7f00-8f00 rw-s 0 00:01 9 /dev/zero (deleted)', 'rd wr sh mr mw me ms', 3, 0x1, 0x4081],
  ['7f00-8f00 rw-s 0 00:01 9 /memfd:x (deleted)', 'rd wr sh mr mw me ms', 3, 0x1, 0x4081],
  ['7f00-8f00 rw-p 0 00:01 9 /memfd:x (deleted)', 'rd wr mr mw me ac', 3, 0x2, 0x4041],
  ['7f00-8f00 rw-s 1000 00:01 0 /SYSV0052e2c1 (deleted)', 'rd wr sh mr mw me ms', 3, 0x21, 0x501],
  ['7f00-8f00 rw-p 0 00:0f 9 /anon_hugepage (deleted)', 'rd wr ht', 3, 0x40022, 0x201],
  ['7f00-8f00 r--p 00000000 00:00 0 [vvar]', 'rd mr pf io de dd', 1, 0x22, 0x1201, 0x10000n],
  ['7f00-8f00 r-xp 00000000 00:00 0 [vdso]', 'rd ex mr mw me de', 5, 0x22, 0x209],
  ['7f00-8f00 --xp 00000000 00:00 0 [vsyscall]', 'ex', 4, 0x22, 0x204],
];

for (const [line, vmFlags, prot, flags, status, madv] of CRIU) {
  test(`${line.slice(10)} [${vmFlags}]`, () => {
    const area = areaOf(line, vmFlags);
    const entry = vmaEntryOf(area, area.mapping.inode === 0n ? undefined : { id: 5, openFlags: 2 });
    assert.deepEqual(
      { prot: entry.prot, flags: entry.flags, status: entry.status, madv: entry.madv },
      { prot, flags, status, madv },
    );
    assert.equal(entry.fd, -1n);
    assert.equal(entry.shmid, area.mapping.inode === 0n ? 0n : 5n);
    assert.equal(entry.fdflags, area.mapping.inode === 0n ? undefined : 2);
  });
}

const MARKED: readonly (readonly [string, string, Partial<VmaEntry>])[] = [
  [PLAIN, 'rd wr sl', { sealed: true }],
  [PLAIN, 'rd wr lo lf', { lockedOnFault: true }],
  [`${PLAIN} [anon:some name]`, 'rd wr', { name: 'some name' }],
  ['7f00-8f00 rw-s 0 00:01 9 [anon_shmem:other]', 'rd wr sh', { name: 'other' }],
];

for (const [line, flags, marks] of MARKED) {
  test(`${line.slice(10)} [${flags}] has ${Object.keys(marks).join(', ')}`, () => {
    const area = areaOf(line, flags);
    const { sealed, lockedOnFault, name } = vmaEntryOf(area, { id: 5, openFlags: 2 });
    assert.deepEqual(JSON.parse(JSON.stringify({ sealed, lockedOnFault, name })), marks);
  });
}

test('the key of a mapping stands before its flags', () => {
  const text = `${PLAIN}\nProtectionKey:         3\nVmFlags: rd wr\n`;
  const [keyed] = parseSmaps(text + text.replace('3\n', '0\n'));
  assert.equal(keyed?.protectionKey, 3);
  assert.deepEqual(parseSmaps(text.replace('3\n', '0\n'))[0]?.protectionKey, undefined);
  assert.equal(vmaEntryOf({ mapping: keyed!, kind: 'anonymous' }).protectionKey, 3);
});

const REFUSED: readonly (readonly [string, string, string])[] = [
  ['7f00-8f00 rw-s 0 00:33 3 /mnt/huge/file', 'rd wr sh ht', 'HugeTlb'],
  ['7f00-8f00 rw-s 0 00:0e 3 anon_inode:[io_uring]', 'rd wr sh', 'IoUring'],
  ['7f00-8f00 rw-s 0 00:0e 3 anon_inode:[perf_event]', 'rd wr sh', 'PerfEvent'],
  ['7f00-8f00 rw-s 0 00:05 3 /dev/mem', 'rd wr sh io pf', 'DeviceMapping'],
  ['7f00-8f00 --xp 0 00:00 0 [uprobes]', 'ex', 'Uprobes'],
  ['7f00-8f00 rw-p 0 00:00 0', 'rd wr um', 'Userfaultfd'],
  ['7f00-8f00 rw-p 0 00:00 0', 'rd wr ss', 'ShadowStack'],
  ['7f00-8f00 r--p 0 00:00 0', 'rd sl dc', 'SealedMapping'],
  ['7f00-8f00 r--p 0 00:00 0', 'rd sl wf', 'SealedMapping'],
  ['7f00-8f00 rw-s 0 00:01 3 /i915 (deleted)', 'rd wr sh', 'UnknownMapping'],
  ['7f00-8f00 r--p 0 00:00 0 [new thing]', 'rd', 'UnknownMapping'],
];

for (const [line, flags, code] of REFUSED) {
  test(`${line.slice(10)} is refused as ${code}`, () => {
    const finding = classify(mapping(line, flags), SHMEM, 7) as Finding;
    assert.deepEqual([finding.code, finding.severity, finding.pid], [code, 'refusal', 7]);
  });
}

test('a file on disk may be called like anything', () => {
  for (const name of [
    '/SYSV00000000',
    '/[aio] (deleted)',
    '/memfd:x (deleted)',
    '/anon_hugepage',
  ]) {
    const kind = classify(mapping(`7f00-8f00 r--p 0 fe:00 3 ${name}`), SHMEM, 7);
    assert.equal(kind, 'file-private', name);
  }
});

test('the interpreter is cut out of what the kernel merged it with', () => {
  const merged = mapping('10000-50000 rwxp 00000000 00:00 0');
  const cut = withoutRange([merged], 0x20000n, 0x30000n);
  assert.deepEqual(cut.map(describeMapping), ['10000-20000 rwxp', '30000-50000 rwxp']);
  assert.deepEqual(withoutRange([merged], 0n, 0x10000n), [merged]);
  assert.deepEqual(withoutRange([merged], 0x10000n, 0x50000n), []);
});
