"""Workers as jobs on a Slurm cluster, by sbatch, squeue and scancel alone."""
