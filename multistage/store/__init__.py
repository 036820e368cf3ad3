"""A sweep's folder, and what is kept of live sweeps apart from theirs."""
