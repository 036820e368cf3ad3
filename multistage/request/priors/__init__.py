"""What is known before a sweep begins: earlier sweeps, and public trainings of its algorithm."""
