"""Who trains: records, commands, GPUs and prices."""
