"""Every use of the wandb package on the driver's side: connection, sweeps, runs."""
