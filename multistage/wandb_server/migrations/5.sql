-- Bounds of how often a preempted run is handed out again.
ALTER TABLE runs ADD COLUMN preemptions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN failed_attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN attempt_row INTEGER NOT NULL DEFAULT 0;
