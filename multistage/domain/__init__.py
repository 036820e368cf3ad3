"""What a sweep is, without any I/O: space, plan, budget, selection, narrowing, results, state."""
