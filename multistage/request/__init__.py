"""What is asked for: from flags, environment, settings file or W&B sweep file to a sweep's settings."""
