"""Where a sweep's parameters come from, and which source wins."""
