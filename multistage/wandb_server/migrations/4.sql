-- Pages of multi-stage sweeps: what their drivers tell.
CREATE TABLE summaries (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    content TEXT NOT NULL, -- without its runs
    revision INTEGER NOT NULL, -- when it last changed
    heard_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE summary_runs (
    summary_id INTEGER NOT NULL REFERENCES summaries ON DELETE CASCADE,
    run TEXT NOT NULL,
    content TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (summary_id, run)
) WITHOUT ROWID;
CREATE INDEX summary_runs_by_revision ON summary_runs (summary_id, revision);

-- Artifacts whole; runs with a past; alerts and charts.
ALTER TABLE artifact_collections ADD COLUMN kind TEXT NOT NULL DEFAULT 'sequence';
ALTER TABLE artifact_collections ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE artifacts ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE artifacts ADD COLUMN ttl_seconds INTEGER;
ALTER TABLE artifacts ADD COLUMN distributed_id TEXT;

CREATE TABLE artifact_links (
    id INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES artifact_collections ON DELETE CASCADE,
    artifact_id INTEGER NOT NULL REFERENCES artifacts ON DELETE CASCADE,
    version_index INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (collection_id, artifact_id)
);
CREATE INDEX artifact_links_by_artifact ON artifact_links (artifact_id);

CREATE TABLE artifact_manifests (
    id INTEGER PRIMARY KEY,
    artifact_id INTEGER NOT NULL REFERENCES artifacts ON DELETE CASCADE,
    kind TEXT NOT NULL, -- FULL, PATCH, INCREMENTAL
    digest TEXT NOT NULL, -- empty before it is known, and uploaded
    base_id INTEGER -- the version that an incremental one adds to
);
CREATE INDEX artifact_manifests_by_artifact ON artifact_manifests (artifact_id);

CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    severity TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX alerts_by_run ON alerts (run_id);

CREATE TABLE charts (
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    type TEXT NOT NULL,
    access TEXT NOT NULL,
    spec TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (entity, name)
);
