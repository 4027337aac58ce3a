/** "KEVO" in the file's header: tells our database from that of another program. */
export const APPLICATION_ID = 0x4b45564f;
/** The first schema version that carries it. */
export const FIRST_WITH_ID = 3;

/** Applied in order, each in a transaction; `user_version` counts them. Never edit one that has shipped: add another. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE problems (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, content_hash TEXT NOT NULL UNIQUE, json TEXT NOT NULL, created_at TEXT NOT NULL
  ) STRICT;
  CREATE INDEX problems_name ON problems (name, created_at);
  CREATE TABLE gradings (
    content_hash TEXT NOT NULL, target TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (content_hash, target)
  ) STRICT;
  CREATE TABLE candidates (hash TEXT PRIMARY KEY, source TEXT NOT NULL) STRICT;
  CREATE TABLE evaluations (
    id TEXT PRIMARY KEY, cache_key TEXT, candidate TEXT NOT NULL, problem TEXT NOT NULL, target TEXT NOT NULL,
    json TEXT NOT NULL, created_at TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX evaluations_key ON evaluations (cache_key) WHERE cache_key IS NOT NULL;
  CREATE TABLE artifacts (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, media_type TEXT NOT NULL, bytes INTEGER NOT NULL, created_at TEXT NOT NULL
  ) STRICT;
  CREATE TABLE runs (
    id TEXT PRIMARY KEY, json TEXT NOT NULL, state TEXT NOT NULL, created_at TEXT NOT NULL, idempotency_key TEXT UNIQUE
  ) STRICT;
  CREATE TABLE nodes (
    id TEXT PRIMARY KEY, run TEXT NOT NULL REFERENCES runs (id), step INTEGER NOT NULL, operator TEXT NOT NULL,
    candidate TEXT NOT NULL REFERENCES candidates (hash), dedup TEXT NOT NULL, evaluation TEXT NOT NULL, verdict TEXT NOT NULL,
    status TEXT NOT NULL, fitness REAL NOT NULL, island INTEGER NOT NULL, claim TEXT, device_seconds REAL NOT NULL,
    json TEXT NOT NULL, created_at TEXT NOT NULL, UNIQUE (run, step)
  ) STRICT;
  CREATE INDEX nodes_fitness ON nodes (run, fitness DESC, step);
  CREATE INDEX nodes_dedup ON nodes (run, dedup);
  CREATE INDEX nodes_status ON nodes (run, status);
  CREATE INDEX nodes_verdict ON nodes (run, verdict, step);
  CREATE TABLE node_parents (
    child TEXT NOT NULL REFERENCES nodes (id), ord INTEGER NOT NULL, parent TEXT NOT NULL REFERENCES nodes (id), PRIMARY KEY (child, ord)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX node_children ON node_parents (parent);
  CREATE TRIGGER nodes_no_update BEFORE UPDATE ON nodes BEGIN SELECT RAISE(ABORT, 'nodes are insert-only'); END;
  CREATE TRIGGER nodes_no_delete BEFORE DELETE ON nodes BEGIN SELECT RAISE(ABORT, 'nodes are insert-only'); END;
  CREATE TABLE node_commits (node TEXT PRIMARY KEY REFERENCES nodes (id), commit_id TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE claims (
    id TEXT PRIMARY KEY, run TEXT NOT NULL REFERENCES runs (id), state TEXT NOT NULL, expires_ms INTEGER NOT NULL,
    prompt TEXT NOT NULL, node TEXT, json TEXT NOT NULL
  ) STRICT;
  CREATE INDEX claims_open ON claims (run, state, expires_ms);
  CREATE TABLE activity (run TEXT PRIMARY KEY REFERENCES runs (id), seconds REAL NOT NULL) STRICT;
  CREATE TABLE jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, args TEXT NOT NULL, idempotency_key TEXT, progress REAL NOT NULL,
    total REAL, message TEXT NOT NULL, result TEXT, error TEXT, owner TEXT, heartbeat_ms INTEGER NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL
  ) STRICT;
  CREATE INDEX jobs_state ON jobs (state, created_at);
  CREATE UNIQUE INDEX jobs_key ON jobs (idempotency_key) WHERE idempotency_key IS NOT NULL AND state IN ('queued', 'running');
  `,
  `
  ALTER TABLE activity ADD COLUMN beat_ms INTEGER NOT NULL DEFAULT 0;
  `,
  // Edges know their child's step, so that the newest children of a node are read from the index alone.
  `
  PRAGMA application_id = ${APPLICATION_ID};
  ALTER TABLE node_parents ADD COLUMN step INTEGER NOT NULL DEFAULT 0;
  UPDATE node_parents SET step = (SELECT n.step FROM nodes n WHERE n.id = node_parents.child);
  DROP INDEX node_children;
  CREATE INDEX node_children ON node_parents (parent, step, child);
  DROP INDEX nodes_verdict;
  CREATE INDEX nodes_verdict ON nodes (run, verdict, step, device_seconds);
  CREATE INDEX nodes_verdict_fitness ON nodes (run, verdict, fitness DESC, step);
  CREATE TRIGGER node_parents_no_update BEFORE UPDATE ON node_parents BEGIN SELECT RAISE(ABORT, 'edges are insert-only'); END;
  CREATE TRIGGER node_parents_no_delete BEFORE DELETE ON node_parents BEGIN SELECT RAISE(ABORT, 'edges are insert-only'); END;
  CREATE TRIGGER candidates_no_update BEFORE UPDATE ON candidates BEGIN SELECT RAISE(ABORT, 'candidates are insert-only'); END;
  CREATE TRIGGER candidates_no_delete BEFORE DELETE ON candidates BEGIN SELECT RAISE(ABORT, 'candidates are insert-only'); END;
  `,
  // What models used. `key` is the claim, or a name that the driver gives; sums are kept with the run's activity.
  `
  ALTER TABLE activity ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE activity ADD COLUMN cost REAL NOT NULL DEFAULT 0;
  CREATE TABLE usage (
    run TEXT NOT NULL REFERENCES runs (id), key TEXT NOT NULL, node TEXT REFERENCES nodes (id), model TEXT, input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, cost REAL NOT NULL, created_at TEXT NOT NULL, PRIMARY KEY (run, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TRIGGER usage_sum AFTER INSERT ON usage BEGIN
    UPDATE activity SET tokens = tokens + NEW.input_tokens + NEW.output_tokens, cost = cost + NEW.cost WHERE run = NEW.run;
  END;
  CREATE TRIGGER usage_no_update BEFORE UPDATE ON usage BEGIN SELECT RAISE(ABORT, 'usage is insert-only'); END;
  CREATE TRIGGER usage_no_delete BEFORE DELETE ON usage BEGIN SELECT RAISE(ABORT, 'usage is insert-only'); END;
  `,
  // How failed nodes failed and which descendant passed first; and nodes by the shape that near-duplicates share.
  `
  CREATE TABLE failures (
    node TEXT PRIMARY KEY REFERENCES nodes (id), signature TEXT NOT NULL, abstraction TEXT NOT NULL, problem TEXT NOT NULL,
    repair TEXT REFERENCES nodes (id)
  ) STRICT;
  CREATE INDEX failures_repaired ON failures (signature, abstraction) WHERE repair IS NOT NULL;
  CREATE TABLE shapes (
    node TEXT PRIMARY KEY REFERENCES nodes (id), run TEXT NOT NULL REFERENCES runs (id), shape TEXT NOT NULL
  ) STRICT;
  CREATE INDEX shapes_run ON shapes (run, shape);
  `,
];
