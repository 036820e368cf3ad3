"""A multi-stage sweep: what is asked, planned, spent and kept."""
