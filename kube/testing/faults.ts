// Failures on demand for the test server: which request, what goes wrong, how often.

export interface FaultRule {
  /** the request's verb: get, list, watch, create, update, patch, apply, delete; without it, any */
  readonly verb?: string;
  /** plural of the kind; without it, any */
  readonly plural?: string;
  /** only this object */
  readonly name?: string;
  /** how many requests it hits; default 1 */
  readonly times?: number;
  readonly action: FaultAction;
}

export type FaultAction =
  /** answer with this status and nothing done */
  | {
      readonly type: 'status';
      readonly code: number;
      readonly message?: string;
      readonly retryAfterSeconds?: number;
    }
  /** cut the connection; `after`: the request was carried out */
  | { readonly type: 'drop'; readonly when: 'before' | 'after' }
  /** never answer */
  | { readonly type: 'hang' }
  /** answer when this has happened */
  | { readonly type: 'wait'; readonly until: Promise<unknown> }
  /** watches only: open, then stay silent for ever, whatever happens */
  | { readonly type: 'stale' }
  /** watches only: open, send these bytes, go on */
  | { readonly type: 'garbage'; readonly text: string };

export interface FaultTarget {
  readonly verb: string;
  readonly plural: string;
  readonly name?: string | undefined;
}

export class Faults {
  #rules: { readonly rule: FaultRule; left: number }[] = [];

  /** The first rule that fits a request hits it, until it is used up. */
  add(rule: FaultRule): void {
    this.#rules.push({ rule, left: rule.times ?? 1 });
  }

  clear(): void {
    this.#rules = [];
  }

  take(target: FaultTarget): FaultAction | undefined {
    const found = this.#rules.find(({ rule, left }) => left > 0 && fits(rule, target));
    if (found === undefined) {
      return undefined;
    }
    found.left--;
    return found.rule.action;
  }
}

function fits(rule: FaultRule, target: FaultTarget): boolean {
  return (
    (rule.verb === undefined || rule.verb === target.verb) &&
    (rule.plural === undefined || rule.plural === target.plural) &&
    (rule.name === undefined || rule.name === target.name)
  );
}
