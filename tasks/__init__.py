"""The steps of the flows; each opens what it needs, calls the library and returns a frozen model."""
