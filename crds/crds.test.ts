// The YAML schemas and the TypeScript types say the same: both accept the same samples, field by field.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { CHECKPOINT_DEFAULTS } from './checkpoint.ts';
import { SCHEDULE_DEFAULTS } from './checkpoint-schedule.ts';
import { MIGRATION_DEFAULTS } from './migration.ts';
import { RESTORE_DEFAULTS } from './restore.ts';
import { completeGroup, shortGroup } from './testing/group-samples.ts';
import { completeMigrations, shortMigration } from './testing/migration-samples.ts';
import { nodeTasks } from './testing/node-task-samples.ts';
import { REFUSED } from './testing/refused.ts';
import {
  adoptingRestore,
  completeRestore,
  execProbedRestore,
  rewindingRestore,
  shortRestore,
} from './testing/restore-samples.ts';
import {
  completeCheckpoint,
  completeSchedule,
  completeStore,
  shortCheckpoint,
  shortSchedule,
  shortStore,
} from './testing/samples.ts';
import {
  everySchema,
  fieldPaths,
  KEYWORDS,
  readDefinition,
  schemaOf,
  violations,
  withDefaults,
} from './testing/structural-schema.ts';

const KINDS = [
  { file: 'checkpoint.yaml', short: 'chk', samples: [shortCheckpoint, completeCheckpoint] },
  {
    file: 'restore.yaml',
    short: 'rst',
    samples: [shortRestore, completeRestore, execProbedRestore, adoptingRestore, rewindingRestore],
  },
  { file: 'checkpoint-group.yaml', short: 'chkg', samples: [shortGroup, completeGroup] },
  { file: 'checkpoint-schedule.yaml', short: 'chks', samples: [shortSchedule, completeSchedule] },
  { file: 'migration.yaml', short: 'mig', samples: [shortMigration, ...completeMigrations] },
  { file: 'checkpoint-store.yaml', short: 'chkst', samples: [shortStore, completeStore] },
  { file: 'node-task.yaml', short: 'ntask', samples: nodeTasks },
] as const;

/** What a user writes first, word for word as the documentation shows it. */
const FIRST_APPLY = `
apiVersion: diapause.dev/v1alpha1
kind: CheckpointStore
metadata: { name: default, annotations: { diapause.dev/is-default-store: "true" } }
spec: { persistentVolumeClaim: { claimName: checkpoints } }
---
apiVersion: diapause.dev/v1alpha1
kind: Checkpoint
metadata: { name: redis-1 }
spec: { source: { pod: { name: redis } } }
---
apiVersion: diapause.dev/v1alpha1
kind: Restore
metadata: { name: redis-back }
spec: { checkpointRef: { name: redis-1 }, target: { newPod: { name: redis-b, nodeName: node-b } } }
`;

for (const { file, short, samples } of KINDS) {
  const definition = readDefinition(file);
  const schema = schemaOf(definition);

  describe(definition.spec.names.kind, () => {
    it('accepts the samples that its type accepts', () => {
      for (const sample of samples) {
        assert.deepEqual(violations(schema, sample), []);
      }
    });

    it('has exactly the fields of its type', () => {
      const inSchema = everySchema(schema).map(([path]) => path);
      const inType = samples.flatMap((sample) => fieldPaths(schema, sample));
      assert.deepEqual([...new Set(inType)].sort(), [...new Set(inSchema)].sort());
    });

    it('describes every field and bounds every string, list and map', () => {
      for (const [path, field] of everySchema(schema)) {
        const strange = Object.keys(field).filter((keyword) => !KEYWORDS.includes(keyword));
        assert.deepEqual(strange, [], `${path}: keywords that no schema has (a comma not quoted?)`);
        // The API server refuses a description of metadata.
        if (path === '.metadata') {
          continue;
        }
        assert.ok((field.description ?? '').length > 3, `${path} has no description`);
        const isName = ['.apiVersion', '.kind'].includes(path);
        const bounded =
          field.enum !== undefined || field.format === 'date-time' || field.maxLength !== undefined;
        assert.ok(field.type !== 'string' || isName || bounded, `${path} has no maxLength`);
        assert.ok(field.type !== 'array' || field.maxItems !== undefined, `${path}: no maxItems`);
        assert.ok(
          field.additionalProperties === undefined || field.maxProperties !== undefined,
          `${path} has no maxProperties`,
        );
      }
    });

    it('refuses what is not in its schema', () => {
      const stranger = { ...samples[0], spec: { ...samples[0]?.spec, stranger: 1 } };
      assert.deepEqual(violations(schema, stranger), ['.spec.stranger: unknown field']);
    });

    it('has its short name and is in the category checkpoint', () => {
      assert.deepEqual(definition.spec.names.shortNames, [short]);
      assert.deepEqual(definition.spec.names.categories, ['diapause']);
    });

    it('shows only columns that exist', () => {
      const paths = new Set(everySchema(schema).map(([path]) => path));
      for (const column of definition.spec.versions[0]?.additionalPrinterColumns ?? []) {
        const path = column.jsonPath.replace(/\[\?\([^)]*\)\]/g, '[]');
        assert.ok(path.startsWith('.metadata.') || paths.has(path), `${column.name}: ${path}`);
      }
    });
  });
}

describe('what users write', () => {
  const schemas = new Map(
    KINDS.map(({ file }) => {
      const definition = readDefinition(file);
      return [definition.spec.names.kind, schemaOf(definition)] as const;
    }),
  );

  it('passes as the documentation shows it', () => {
    const documents = parseAllDocuments(FIRST_APPLY).map((d) => d.toJS() as { kind: string });
    assert.deepEqual(
      documents.map((d) => d.kind),
      ['CheckpointStore', 'Checkpoint', 'Restore'],
    );
    for (const document of documents) {
      const schema = schemas.get(document.kind);
      assert.ok(schema);
      assert.deepEqual(violations(schema, document), []);
    }
  });

  for (const refused of REFUSED.filter((r) => r.by === 'schema')) {
    it(`is refused: ${refused.what}`, () => {
      const schema = schemas.get(refused.kind);
      assert.ok(schema);
      assert.notDeepEqual(violations(schema, refused.object), []);
    });
  }

  it('gets the defaults that the types document', () => {
    const schema = schemas.get('Checkpoint');
    assert.ok(schema);
    const filled = withDefaults(schema, shortCheckpoint) as { spec: unknown };
    assert.deepEqual(filled.spec, {
      source: { pod: { name: 'redis' } },
      afterDump: CHECKPOINT_DEFAULTS.afterDump,
      include: {
        rootfsDiff: CHECKPOINT_DEFAULTS.rootfsDiff,
        emptyDirs: CHECKPOINT_DEFAULTS.emptyDirs,
      },
      sockets: { established: CHECKPOINT_DEFAULTS.established },
      openResources: { maxEmbeddedBytes: CHECKPOINT_DEFAULTS.maxEmbeddedBytes },
      limits: { timeoutSeconds: CHECKPOINT_DEFAULTS.timeoutSeconds },
      mode: CHECKPOINT_DEFAULTS.mode,
      retention: {
        deletionPolicy: CHECKPOINT_DEFAULTS.deletionPolicy,
        hold: CHECKPOINT_DEFAULTS.hold,
      },
      suspend: CHECKPOINT_DEFAULTS.suspend,
      cancel: CHECKPOINT_DEFAULTS.cancel,
    });
    const restore = schemas.get('Restore');
    assert.ok(restore);
    assert.deepEqual((withDefaults(restore, shortRestore) as { spec: unknown }).spec, {
      checkpointRef: { name: 'redis-1' },
      target: { type: RESTORE_DEFAULTS.targetType },
      placement: RESTORE_DEFAULTS.placement,
      timeoutSeconds: RESTORE_DEFAULTS.timeoutSeconds,
      cancel: RESTORE_DEFAULTS.cancel,
    });
    const schedule = schemas.get('CheckpointSchedule');
    assert.ok(schedule);
    const { onNodeDrain, onAnnotation, minIntervalSeconds, ...others } = SCHEDULE_DEFAULTS;
    assert.deepEqual((withDefaults(schedule, shortSchedule) as { spec: unknown }).spec, {
      ...shortSchedule.spec,
      ...others,
      triggers: { onNodeDrain, onAnnotation, minIntervalSeconds },
    });
    const migration = schemas.get('Migration');
    assert.ok(migration);
    const { completionTimeoutSeconds, ...flat } = MIGRATION_DEFAULTS;
    assert.deepEqual((withDefaults(migration, shortMigration) as { spec: unknown }).spec, {
      podRef: { name: 'redis' },
      target: { nodeName: 'node-b' },
      limits: { completionTimeoutSeconds },
      ...flat,
    });
  });
});
