// Probes and wishes against the resulting limit, as a table.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Probe } from './cluster/pod.ts';
import { type FreezeLimit, type FreezeRequest, freezeLimit } from './freeze-limit.ts';

const http = { httpGet: {} };

interface Case {
  readonly what: string;
  readonly probes?: readonly (Probe & { readonly failures?: number })[];
  readonly maxFreezeSeconds?: number;
  readonly keepFrozen?: FreezeRequest['keepFrozen'];
  readonly limit: FreezeLimit | { readonly refused: string };
}

const untilStored = { untilStoredMillis: 60_000, forGood: false };
const forGood = { untilStoredMillis: 60_000, forGood: true };

const CASES: readonly Case[] = [
  { what: 'no probe: the usual limit', limit: { millis: 10_000 } },
  { what: 'no probe: as long as the user allows', maxFreezeSeconds: 60, limit: { millis: 60_000 } },
  {
    what: 'HTTP, with the defaults of Kubernetes: (3 - 1) x 10 s, but no longer than usual',
    probes: [http],
    limit: { millis: 10_000 },
  },
  {
    what: 'HTTP, short: (3 - 1) x 2 s',
    probes: [{ ...http, periodSeconds: 2 }],
    limit: { millis: 4_000 },
  },
  {
    what: 'gRPC and exec count as well; the strictest holds',
    probes: [
      { grpc: {}, periodSeconds: 3 },
      { exec: {}, periodSeconds: 1, failureThreshold: 4 },
    ],
    limit: { millis: 3_000 },
  },
  {
    what: 'TCP is answered by the kernel',
    probes: [{ tcpSocket: {}, periodSeconds: 1, failureThreshold: 1 }],
    limit: { millis: 10_000 },
  },
  {
    what: 'a failure counted already takes one period away',
    probes: [{ ...http, periodSeconds: 2, failures: 1 }],
    limit: { millis: 2_000 },
  },
  {
    what: 'the last but one failure counted: not now',
    probes: [{ ...http, periodSeconds: 2, failures: 2 }],
    limit: { refused: 'ProbeFailing' },
  },
  {
    what: 'a probe that tolerates nothing: half of its time-out',
    probes: [{ ...http, failureThreshold: 1, timeoutSeconds: 3 }],
    limit: { millis: 1_500 },
  },
  {
    what: 'the user may want less, never more',
    probes: [{ ...http, periodSeconds: 2 }],
    maxFreezeSeconds: 1,
    limit: { millis: 1_000 },
  },
  {
    what: 'the user may not want more than the probe tolerates',
    probes: [{ ...http, periodSeconds: 2 }],
    maxFreezeSeconds: 60,
    limit: { millis: 4_000 },
  },
  {
    what: 'kept frozen until stored: all the time there is',
    keepFrozen: untilStored,
    limit: { millis: 60_000 },
  },
  {
    what: 'kept frozen until stored, within the probe',
    probes: [http],
    keepFrozen: untilStored,
    limit: { millis: 20_000 },
  },
  {
    what: 'kept frozen until stored under a probe that tolerates nothing',
    probes: [{ ...http, failureThreshold: 1 }],
    keepFrozen: untilStored,
    limit: { refused: 'FreezeLimitZero' },
  },
  {
    what: 'frozen for good under a probe',
    probes: [http],
    keepFrozen: forGood,
    limit: { refused: 'FreezeLimitZero' },
  },
  {
    what: 'frozen for good with a TCP probe only',
    probes: [{ tcpSocket: {} }],
    keepFrozen: forGood,
    limit: { millis: 60_000 },
  },
];

describe('freezeLimit', () => {
  for (const { what, probes = [], maxFreezeSeconds, keepFrozen, limit } of CASES) {
    it(what, () => {
      const got = freezeLimit({
        probes: probes.map(({ failures = 0, ...probe }) => ({
          container: 'main',
          probe,
          failures,
        })),
        maxFreezeSeconds,
        keepFrozen,
      });
      assert.deepEqual('refused' in got ? { refused: got.refused } : got, limit);
    });
  }
});
