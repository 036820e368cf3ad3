-- Bounds of how often a preempted run is handed out again.
ALTER TABLE runs ADD COLUMN preemptions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN failed_attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN attempt_row INTEGER NOT NULL DEFAULT 0;

-- Runs into which several clients write.
CREATE TABLE shared_lines (
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    client TEXT NOT NULL,
    stream INTEGER NOT NULL,
    place INTEGER NOT NULL, -- as the client counts
    line INTEGER NOT NULL,
    PRIMARY KEY (run_id, client, stream, place)
) WITHOUT ROWID;
