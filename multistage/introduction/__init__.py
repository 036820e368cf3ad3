"""Getting to know a training script by one run of it, or by a finished one, so that a sweep of it can be proposed."""
