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
