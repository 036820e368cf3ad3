"""The embedded W&B server: what the unmodified ``wandb`` client takes for W&B, on SQLite and 127.0.0.1."""
