// What the story needs to know of an application, so that it can be told the same way for each.
import type { PodOverrides } from '../../crds/restore.ts';
import type { Check, Gap } from './check.ts';
import type { Kubectl } from './kubectl.ts';

/** Facts that an application gathers at one moment; only the application itself understands them. */
export interface Application<Facts = unknown> {
  /** also the name of its pod */
  readonly name: string;
  /** one line for people: what it is and what could go wrong */
  readonly about: string;
  /** objects that start it */
  pods(nodeName: string): readonly object[];
  /** fills it with data and puts it under load; tells what it did */
  prepare(kubectl: Kubectl, nodeName: string): Promise<string>;
  /** what differs in the new pod, so that a cold start could not pass */
  readonly overrides?: PodOverrides;
  /** asks the application in `podName` */
  observe(kubectl: Kubectl, podName: string): Promise<Facts>;
  /** times in which the source did not run (or did not answer) between two looks, by its own clock */
  gaps(before: Facts, after: Facts): readonly Gap[];
  /** whether the source went on as if nothing had happened */
  judgeSource(before: Facts, after: Facts): readonly Check[];
  /** whether the restored one is the very same, asked again until it has had the time to show it */
  verifyRestored(
    kubectl: Kubectl,
    podName: string,
    before: Facts,
    after: Facts,
  ): Promise<readonly Check[]>;
}
