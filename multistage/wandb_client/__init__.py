"""Every use of the wandb package on the orchestrator's side: connection, sweeps, runs."""
