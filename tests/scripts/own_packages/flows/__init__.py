"""An author's own package of that name."""
