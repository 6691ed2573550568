// Label and field selectors as the API server reads them.
import { atPath, child, type JsonObject, textOf } from './json.ts';

export type Selector = (object: JsonObject) => boolean;

/** `a=b`, `a!=b`, `a in (x,y)`, `a notin (x,y)`, `a`, `!a`, joined by commas. */
export function labelSelector(text: string): Selector {
  const terms = text
    .split(/,(?![^(]*\))/)
    .filter((term) => term !== '')
    .map(labelTerm);
  return (object) => {
    const labels = child(child(object, 'metadata'), 'labels');
    return terms.every((term) => term(labels));
  };
}

function labelTerm(term: string): (labels: JsonObject) => boolean {
  const set = /^\s*(\S+)\s+(in|notin)\s+\((.*)\)\s*$/.exec(term);
  if (set !== null) {
    const [, key = '', how, list = ''] = set;
    const values = list.split(',').map((value) => value.trim());
    return (labels) => values.includes(textOf(labels[key])) === (how === 'in');
  }
  const equality = /^\s*([^!=\s]+)\s*(!=|==?)\s*(\S*)\s*$/.exec(term);
  if (equality !== null) {
    const [, key = '', how, value] = equality;
    return (labels) => ((labels[key] ?? undefined) === value) === (how !== '!=');
  }
  const key = term.trim();
  return key.startsWith('!') ? (labels) => !(key.slice(1) in labels) : (labels) => key in labels;
}

export class UnknownField extends Error {}

/** `path=value` or `path!=value`, joined by commas. @throws UnknownField unless the kind makes the path selectable */
export function fieldSelector(text: string, selectable: readonly string[]): Selector {
  const terms = text.split(',').map((term) => {
    const [, path = '', how, value] = /^([^!=]+)(!=|==?)(.*)$/.exec(term) ?? [];
    if (!['metadata.name', 'metadata.namespace', ...selectable].includes(path)) {
      throw new UnknownField(`field label not supported: ${path}`);
    }
    return (object: JsonObject) => (textOf(atPath(object, path)) === value) === (how !== '!=');
  });
  return (object) => terms.every((term) => term(object));
}
