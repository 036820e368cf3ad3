"""Hyperparameters and their ranges: how they are written, sampled, and narrowed."""
