"""What the process that drives a sweep does: its folder and state, its stages, its workers."""
