"""Every option of a sweep, declared once: data only. Flags, flows, settings file, variables and docs derive from it."""
