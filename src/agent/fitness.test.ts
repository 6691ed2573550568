// Which nodes would not do for a saved pod, by what their agents have told.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Agent } from '../cluster/agents.ts';
import { startedAgo } from '../testing/agents.ts';
import { checkpoint, NOW, pod, storedStatus } from '../testing/builders.ts';
import { lackOf, lackOfAll, lackOfNode, needsFor, needsOf, unfitNodes } from './fitness.ts';

function agentOf(nodeName: string, told: Pick<Agent, 'clocks' | 'cpuFeatures'>): Agent {
  return { nodeName, podName: nodeName, ready: true, initImage: 'init', ...told };
}

const saved = storedStatus(pod());
const { requirements: _none, ...unsaved } = saved;

function savedWith(requirements: Readonly<Record<string, unknown>>): typeof SAVED {
  return checkpoint({}, { ...saved, requirements });
}
const SAVED = checkpoint({}, saved);
const SOURCE = { ...saved.source, podUID: 'pod-1', node: 'source' };
const ON_SOURCE = checkpoint({}, { ...unsaved, source: SOURCE });

describe('the clock of a node', () => {
  const agents = (
    [
      ['source', 3_600],
      ['older', 7_200],
      ['alike', 3_597],
      ['younger', 3_000],
      ['silent', undefined],
    ] as const
  ).map(([name, seconds]) =>
    agentOf(name, { ...(seconds !== undefined && { clocks: startedAgo(seconds) }) }),
  );
  const clocks = (nanos: number, boottime = 0) =>
    savedWith({ monotonicNanos: String(nanos), boottimeNanos: String(boottime) });

  for (const [what, subject, expected] of [
    ['saved at 3600 s', clocks(3600e9), ['younger']],
    ['saved with such a boot clock', clocks(0, 3600e9), ['younger']],
    ['saved early', clocks(60e9), []],
    ['of unknown needs', savedWith({ arch: 'x86_64' }), []],
    ['not saved yet', ON_SOURCE, ['younger']],
  ] as const) {
    it(`${what}: ${expected.join() || 'no node'} is too young`, () => {
      assert.deepEqual(unfitNodes(needsOf(subject, agents, NOW), agents), expected);
    });
  }

  it('is told in words', () => {
    const lack = lackOfNode(needsOf(ON_SOURCE, agents, NOW), agents, 'younger');
    assert.equal(lack?.reason, 'ClockEarlier');
    assert.match(lack?.facts ?? '', /^node younger .*monotonic clock is 600 s earlier/);
  });
});

describe('the CPU of a node', () => {
  const agents = [
    agentOf('source', { cpuFeatures: ['avx2', 'avx512f', 'sse2'] }),
    agentOf('newer', { cpuFeatures: ['amx_tile', 'avx2', 'avx512f', 'sse2'] }),
    agentOf('older', { cpuFeatures: ['avx2', 'sse2'] }),
    agentOf('oldest', { cpuFeatures: ['sse2'] }),
    agentOf('silent', {}),
  ];

  for (const [what, subject, expected] of [
    ['saved with AVX-512', savedWith({ cpuFeatures: ['avx512f'] }), ['older', 'oldest']],
    ['saved without', savedWith({ cpuFeatures: ['sse2'] }), []],
    ['saved by an agent that did not tell', savedWith({ cpuFlags: ['avx512f'] }), []],
    ['saved with what is no list', savedWith({ cpuFeatures: 'avx512f' }), []],
    ['not saved yet', ON_SOURCE, ['older', 'oldest']],
  ] as const) {
    it(`${what}: ${expected.join() || 'no node'} lacks something`, () => {
      assert.deepEqual(unfitNodes(needsOf(subject, agents, NOW), agents), expected);
    });
  }

  it('is told by the names of what is missing', () => {
    const lack = lackOfNode(needsOf(ON_SOURCE, agents, NOW), agents, 'oldest');
    assert.equal(lack?.reason, 'CpuFeatureMissing');
    assert.equal(lack.facts, 'node oldest has a CPU without avx2, avx512f');
    assert.equal(lackOfNode(needsOf(ON_SOURCE, agents, NOW), agents, 'unknown'), undefined);
  });

  it('is not told by more names than anybody reads', () => {
    const cpuFeatures = Array.from({ length: 12 }, (_none, n) => `x${n}`);
    const lack = lackOf(needsFor({ cpuFeatures }, NOW), agentOf('a', { cpuFeatures: [] }));
    assert.match(lack?.facts ?? '', /x0, x1,.* x9 and 2 more$/);
  });

  it('stands in the way only where it does everywhere', () => {
    const needs = needsFor({ cpuFeatures: ['avx512f'] }, NOW);
    assert.equal(lackOfAll(needs, agents), undefined);
    assert.equal(lackOfAll(needs, []), undefined);
    const lack = lackOfAll(needs, agents.slice(2, 4));
    assert.equal(lack?.facts, 'older has a CPU without avx512f; oldest has a CPU without avx512f');
  });
});
