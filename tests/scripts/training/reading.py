"""What the package's modules import from each other."""

READ_BOOL = {"True": True, "False": False}.__getitem__
