-- Runs are enqueued once, whatever the network does; early termination compares what W&B compares.
ALTER TABLE runs ADD COLUMN queued_config TEXT;
CREATE INDEX runs_by_display_name ON runs (project_id, sweep, display_name) WHERE sweep IS NOT NULL;
ALTER TABLE bands RENAME COLUMN best TO value;
