"""Configs trained outside a sweep's budget: the recommended one again, and other searches beside it."""
