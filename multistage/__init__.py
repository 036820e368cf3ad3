"""Hyperparameter sweeps in three narrowing stages of real training runs."""
