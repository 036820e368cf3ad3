"""What a multi-stage sweep's page shows while the sweep runs."""
