-- Artifacts.
CREATE TABLE artifact_collections (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES artifact_collections,
    run_id INTEGER REFERENCES runs ON DELETE SET NULL,
    client_id TEXT,
    state TEXT NOT NULL, -- PENDING, COMMITTED
    version_index INTEGER, -- from the commit on
    digest TEXT NOT NULL,
    wanted_aliases TEXT NOT NULL DEFAULT '[]', -- given at the commit
    description TEXT,
    metadata TEXT,
    history_step INTEGER,
    size INTEGER NOT NULL DEFAULT 0,
    file_count INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX artifacts_by_collection ON artifacts (collection_id, version_index);
CREATE INDEX artifacts_by_client ON artifacts (client_id) WHERE client_id IS NOT NULL;
CREATE INDEX artifacts_by_run ON artifacts (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE artifact_aliases (
    collection_id INTEGER NOT NULL REFERENCES artifact_collections,
    alias TEXT NOT NULL,
    artifact_id INTEGER NOT NULL REFERENCES artifacts ON DELETE CASCADE,
    PRIMARY KEY (collection_id, alias)
) WITHOUT ROWID;
CREATE INDEX artifact_aliases_by_artifact ON artifact_aliases (artifact_id);

CREATE TABLE artifact_uses (
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    artifact_id INTEGER NOT NULL REFERENCES artifacts ON DELETE CASCADE,
    PRIMARY KEY (run_id, artifact_id)
) WITHOUT ROWID;
CREATE INDEX artifact_uses_by_artifact ON artifact_uses (artifact_id);
