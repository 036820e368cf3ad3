"""What the process that drives a sweep does: its session, its stages, its workers."""
