-- A new database. One of an earlier version comes to the same through `migrations/`; store.py counts the versions.
-- Times are microseconds since 1970. Unfinished runs are few; everything that polls or reaps uses an index.
CREATE TABLE projects (
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    runs_made INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    UNIQUE (entity, name)
);

CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects,
    name TEXT NOT NULL,
    display_name TEXT,
    description TEXT,
    state TEXT NOT NULL,
    config TEXT NOT NULL, -- YAML, as the client sent it
    controller TEXT,
    scheduler TEXT,
    prior_runs_filters TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (project_id, name)
);

-- Runs that a client enqueued and no agent has taken: each is a run in state pending without an agent.
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sweep_id INTEGER NOT NULL REFERENCES sweeps,
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE
);
CREATE INDEX queue_by_sweep ON queue (sweep_id, id);
CREATE INDEX queue_by_run ON queue (run_id);

CREATE TABLE agents (
    id INTEGER PRIMARY KEY,
    sweep_id INTEGER NOT NULL REFERENCES sweeps,
    name TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL
);
CREATE INDEX agents_by_sweep ON agents (sweep_id);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects,
    name TEXT NOT NULL,
    display_name TEXT,
    sweep TEXT, -- the sweep's name
    agent_id INTEGER REFERENCES agents,
    state TEXT NOT NULL,
    stop_requested INTEGER NOT NULL DEFAULT 0,
    exitcode INTEGER,
    config TEXT NOT NULL DEFAULT '{}',
    summary TEXT NOT NULL DEFAULT '{}',
    system_metrics TEXT NOT NULL DEFAULT '{}',
    description TEXT,
    notes TEXT,
    tags TEXT NOT NULL DEFAULT '[]',
    run_group TEXT,
    job_type TEXT,
    program TEXT,
    queued_config TEXT, -- what it was enqueued or handed out with
    commit_hash TEXT,
    repo TEXT,
    host TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER, -- when the run itself first reported
    heartbeat_at INTEGER NOT NULL, -- moves with every change that a poller must see; unique
    ended_at INTEGER,
    preemptions INTEGER NOT NULL DEFAULT 0, -- how often it was handed out again
    failed_attempts INTEGER NOT NULL DEFAULT 0, -- in a row; -1 where its machine has announced its end
    attempt_row INTEGER NOT NULL DEFAULT 0, -- how many rows it had when it was last handed out
    UNIQUE (project_id, name)
);
CREATE INDEX runs_by_heartbeat ON runs (project_id, heartbeat_at);
CREATE INDEX runs_by_creation ON runs (project_id, created_at);
CREATE INDEX runs_by_sweep ON runs (project_id, sweep, heartbeat_at) WHERE sweep IS NOT NULL;
CREATE INDEX runs_by_display_name ON runs (project_id, sweep, display_name) WHERE sweep IS NOT NULL;
CREATE INDEX runs_by_agent ON runs (agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX runs_live ON runs (agent_id) WHERE state IN ('pending', 'running', 'preempting');
CREATE INDEX runs_preempted ON runs (project_id, sweep) WHERE state = 'preempted';

-- What a run streams, a line a row: history, system events, console.
CREATE TABLE lines (
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    stream INTEGER NOT NULL,
    line INTEGER NOT NULL,
    step INTEGER, -- of a history row
    content TEXT NOT NULL,
    PRIMARY KEY (run_id, stream, line)
) WITHOUT ROWID;
CREATE INDEX lines_by_step ON lines (run_id, step) WHERE step IS NOT NULL;

-- The lines of runs into which several clients write, each counting its own.
CREATE TABLE shared_lines (
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    client TEXT NOT NULL,
    stream INTEGER NOT NULL,
    place INTEGER NOT NULL, -- as the client counts
    line INTEGER NOT NULL,
    PRIMARY KEY (run_id, client, stream, place)
) WITHOUT ROWID;

CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    md5 TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (run_id, name)
);

-- Runs of before that a sweep's search learns from.
CREATE TABLE prior_runs (
    sweep_id INTEGER NOT NULL REFERENCES sweeps,
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    PRIMARY KEY (sweep_id, run_id)
) WITHOUT ROWID;
CREATE INDEX prior_runs_by_run ON prior_runs (run_id);

-- For early termination: how far a run's metric has come, and its value at each band; smaller is better.
CREATE TABLE progress (
    run_id INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    next_line INTEGER NOT NULL,
    count INTEGER NOT NULL, -- finite values of the metric
    best REAL
);
CREATE TABLE bands (
    sweep_id INTEGER NOT NULL REFERENCES sweeps,
    band INTEGER NOT NULL,
    value REAL NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    PRIMARY KEY (sweep_id, band, value, run_id)
) WITHOUT ROWID;
CREATE INDEX bands_by_run ON bands (run_id, band);

CREATE TABLE artifact_collections (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    kind TEXT NOT NULL DEFAULT 'sequence', -- or portfolio
    tags TEXT NOT NULL DEFAULT '[]',
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
    tags TEXT NOT NULL DEFAULT '[]',
    ttl_seconds INTEGER, -- 0 is without end; NULL as the collection's, which has none
    distributed_id TEXT, -- what the runs that write it together call it
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
