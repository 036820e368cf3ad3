"""What is shown of a sweep: the banner, tables, plots."""
