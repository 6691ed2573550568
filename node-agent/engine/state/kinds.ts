// The only register of state kinds. The order within a stage is the order of the restore.
import { addressSpaceFlags } from './address-space-flags.ts';
import { alternateStack } from './alternate-stack.ts';
import { areaNames } from './area-names.ts';
import { areaPolicies } from './area-policies.ts';
import { coreScheduling } from './core-scheduling.ts';
import { credentials } from './credentials.ts';
import { generalRegisters } from './general-registers.ts';
import { intervalTimers } from './interval-timers.ts';
import { loginuid } from './loginuid.ts';
import { membarrier } from './membarrier.ts';
import { memoryPolicy } from './memory-policy.ts';
import { sharedPendingSignals, threadPendingSignals } from './pending-signals.ts';
import { posixTimers } from './posix-timers.ts';
import { protectionKeys } from './protection-keys.ts';
import { remainingWait } from './remaining-wait.ts';
import { resourceLimits } from './resource-limits.ts';
import { robustList } from './robust-list.ts';
import { rseq } from './rseq.ts';
import { scheduling } from './scheduling.ts';
import { seals } from './seals.ts';
import { seccomp, sharedSeccomp } from './seccomp.ts';
import { signalActions } from './signal-actions.ts';
import { signalMask } from './signal-mask.ts';
import type { ProcessKind, StateKind, ThreadKind } from './state-kind.ts';
import { hiddenSwitches, switches } from './switches.ts';
import { taskFacts } from './task-facts.ts';
import { threadName } from './thread-name.ts';
import { tidAddress } from './tid-address.ts';
import { xstate } from './xstate.ts';

export const stateKinds: readonly StateKind[] = [
  signalActions,
  membarrier,
  areaNames,
  areaPolicies,
  protectionKeys,
  loginuid,
  coreScheduling,
  sharedSeccomp,
  tidAddress,
  robustList,
  alternateStack,
  rseq,
  scheduling,
  memoryPolicy,
  threadName,
  posixTimers,
  resourceLimits,
  sharedPendingSignals,
  threadPendingSignals,
  signalMask,
  taskFacts,
  addressSpaceFlags,
  seals,
  intervalTimers,
  hiddenSwitches,
  switches,
  seccomp,
  credentials,
  remainingWait,
  xstate,
  generalRegisters,
];

export const processKinds: readonly ProcessKind[] = stateKinds.filter((k) => k.scope === 'process');
export const threadKinds: readonly ThreadKind[] = stateKinds.filter((k) => k.scope === 'thread');
