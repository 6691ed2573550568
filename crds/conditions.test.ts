// The closed sets: every reason tells what it means, every failure what to do, and agents can only say what exists.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conditionMessage, REASONS, reasonOfTaskError, TASK_ERROR_CODES } from './conditions.ts';
import { labelValue } from './names.ts';

describe('reasons', () => {
  it('are CamelCase and say what they mean in one line', () => {
    for (const [name, facts] of Object.entries(REASONS)) {
      assert.match(name, /^[A-Z][a-zA-Z]*$/);
      assert.match(facts.meaning, /^[^\n]{4,120}$/, name);
    }
  });

  it('tell what to do wherever the user must do something', () => {
    for (const [name, facts] of Object.entries(REASONS)) {
      const mustAct =
        facts.class === 'waiting' || (facts.class === 'failure' && name !== 'Canceled');
      assert.ok(!mustAct || facts.action.length > 5, name);
    }
  });

  it('cover every error that an agent may report, and those it may not', () => {
    for (const code of TASK_ERROR_CODES) {
      assert.equal(reasonOfTaskError(code), code);
    }
    assert.equal(reasonOfTaskError('FromTheFuture'), 'TaskFailed');
    assert.equal(reasonOfTaskError('Completed'), 'TaskFailed');
  });

  it('make messages of facts and advice', () => {
    assert.equal(conditionMessage('Completed'), 'done');
    assert.equal(
      conditionMessage('ClaimNotFound', 'claim "x" does not exist'),
      'claim "x" does not exist: create the claim',
    );
  });
});

describe('label values', () => {
  it('stay as they are while they fit, and stay apart when they do not', () => {
    assert.equal(labelValue('node-a'), 'node-a');
    const long = `${'n'.repeat(45)}.${'x'.repeat(60)}`;
    assert.ok(labelValue(long).length <= 63);
    assert.match(labelValue(long), /^[a-z0-9][a-z0-9.-]*[a-z0-9]$/);
    assert.notEqual(labelValue(long), labelValue(`${long}y`));
  });
});
