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
    commit_hash TEXT,
    repo TEXT,
    host TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER, -- when the run itself first reported
    heartbeat_at INTEGER NOT NULL, -- moves with every change that a poller must see; unique
    ended_at INTEGER,
    UNIQUE (project_id, name)
);
CREATE INDEX runs_by_heartbeat ON runs (project_id, heartbeat_at);
CREATE INDEX runs_by_creation ON runs (project_id, created_at);
CREATE INDEX runs_by_sweep ON runs (project_id, sweep, heartbeat_at) WHERE sweep IS NOT NULL;
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

-- For early termination: how far a run's metric has come, and its best value at each band.
CREATE TABLE progress (
    run_id INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    next_line INTEGER NOT NULL,
    count INTEGER NOT NULL, -- finite values of the metric
    best REAL
);
CREATE TABLE bands (
    sweep_id INTEGER NOT NULL REFERENCES sweeps,
    band INTEGER NOT NULL,
    best REAL NOT NULL, -- smaller is better
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    PRIMARY KEY (sweep_id, band, best, run_id)
) WITHOUT ROWID;
CREATE INDEX bands_by_run ON bands (run_id, band);
